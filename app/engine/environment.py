"""The environment of the engine's process: libraries, threads, folders. Knows vLLM's variables, not vLLM."""

import contextlib
import hashlib
import os
import platform
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import structlog

from app.engine.parent import GATEWAY
from app.settings import EngineSettings

log = structlog.get_logger(__name__)

# Libraries that vLLM's CPU kernels gain from when they are preloaded: Intel's OpenMP, tcmalloc.
_PRELOADS = ("libiomp5.so", "libtcmalloc_minimal.so.4")
_LIBRARY_FOLDERS = (Path(sys.prefix) / "lib", Path("/usr/lib/x86_64-linux-gnu"), Path("/usr/lib64"), Path("/usr/lib"))
# What the processor is and can do, by the names of x86 and of ARM. Compilers use it all, so that code that was compiled
# on another machine of the same state folder may end the process.
_PROCESSOR = re.compile(r"^(?:model name|flags|Features|CPU part)\s*:\s*(.*)$", re.MULTILINE)
_CPUINFO = Path("/proc/cpuinfo")
# Bytes of a Unix socket's path without its end, and what vLLM appends: a slash and a UUID.
_SOCKET_PATH = 107
_SOCKET_NAME = 37


def preloads() -> list[Path]:
    """The libraries of `_PRELOADS` that this machine has."""
    candidates = ([folder / name for folder in _LIBRARY_FOLDERS] for name in _PRELOADS)
    found = (next((path for path in paths if path.exists()), None) for paths in candidates)
    return [path for path in found if path is not None]


def processor() -> str:
    """A name of this machine's kind of processor: 12 hexadecimal digits, the same where compiled code may be shared."""
    text = _CPUINFO.read_text(errors="replace") if _CPUINFO.exists() else platform.processor()
    facts = sorted({" ".join(sorted(fact.split())) for fact in _PROCESSOR.findall(text)} or {text})
    return hashlib.sha256("\n".join([platform.machine(), *facts]).encode()).hexdigest()[:12]


def socket_folder(preferred: Path) -> Path:
    """`preferred`, or a new folder of a short name where a socket's path below it would be too long (unix(7))."""
    if len(os.fsencode(preferred)) + _SOCKET_NAME <= _SOCKET_PATH:
        return preferred
    return Path(tempfile.mkdtemp(prefix="cxr-", dir="/tmp"))


@contextlib.contextmanager
def engine_environment(settings: EngineSettings, cache: Path, sockets: Path) -> Iterator[None]:
    """Environment of the engine's process, taken back afterwards. What the user has set is kept."""
    libraries = [str(path) for path in preloads()]
    compiled = cache / processor()
    values = {
        GATEWAY: str(os.getpid()),
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // settings.data_parallel_size)),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_CPU_KVCACHE_SPACE": str(settings.cpu_kv_cache_gib),
        "LD_PRELOAD": ":".join(libraries),
        "PYTHONWARNINGS": "ignore::FutureWarning",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        "TORCH_LOGS": "-torch._library.triton",
        "VLLM_RPC_BASE_PATH": str(sockets),
        "VLLM_CACHE_ROOT": str(compiled / "vllm"),
        "VLLM_CONFIG_ROOT": str(cache / "vllm"),
        "TORCHINDUCTOR_CACHE_DIR": str(compiled / "inductor"),
        "TRITON_CACHE_DIR": str(compiled / "triton"),
        "FLASHINFER_WORKSPACE_BASE": str(compiled / "flashinfer"),
        "HF_HOME": str(cache / "huggingface"),
    }
    added = {name: value for name, value in values.items() if value and not os.environ.get(name)}
    os.environ.update(added)
    log.info("engine environment", preload=[Path(path).name for path in libraries], set=sorted(added))
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
