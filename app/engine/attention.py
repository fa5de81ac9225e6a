"""Which attention kernel the engine uses: the one that is named, or the fastest that `cxr tune` has timed here.

Which is fastest depends on the card and on the size of the model's heads. vLLM chooses by rules: with heads of 80 its
choice draws 33 images a second on an H100 where Triton's kernel draws 45.
"""

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

log = structlog.get_logger(__name__)

VLLMS_CHOICE = "vLLM's choice"
# Those of a GPU; each names itself in vLLM. Whether one runs here is seen by trying.
CANDIDATES = ("FLASH_ATTN", "TRITON_ATTN", "FLASHINFER", "FLEX_ATTENTION")
# Sequences that are decoded at once.
BATCHES = (1, 32, 64)
# Less than this is noise, and vLLM's choice stays.
_GAIN = 0.03
_FILE = "attention.json"


class Geometry(BaseModel):
    """What a timing holds for: card, vLLM's version, the model's heads and how many share a key, and the type."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    card: str
    vllm: str
    head_size: int
    heads: int
    key_value_heads: int
    dtype: str


class Timing(BaseModel):
    """Seconds of a token with one kernel, by sequences at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    geometry: Geometry
    seconds: dict[int, float]


class Choice(BaseModel):
    """Timings by kernel, and the one that is used; None where vLLM is to choose."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    geometry: Geometry
    seconds: dict[str, dict[int, float]]
    kernel: str | None


def fastest(seconds: Mapping[str, Mapping[int, float]]) -> str | None:
    """The kernel with the least geometric mean of its times; None where it gains less than 3 % over vLLM's choice,
    which is among them.
    """

    def mean(kernel: str) -> float:
        return math.exp(math.fsum(map(math.log, seconds[kernel].values())) / len(seconds[kernel]))

    best = min(seconds, key=mean)
    return best if mean(best) < (1.0 - _GAIN) * mean(VLLMS_CHOICE) else None


def keep(cache: Path, choice: Choice) -> None:
    """Keep a choice in a state folder's cache, in the place of one for the same geometry. Raises OSError."""
    others = [one for one in _kept(cache) if one.geometry != choice.geometry]
    cache.mkdir(parents=True, exist_ok=True)
    text = json.dumps([one.model_dump() for one in (*others, choice)], indent=2)
    with tempfile.NamedTemporaryFile("w", dir=cache, delete=False, encoding="utf-8") as whole:
        whole.write(text + "\n")
    Path(whole.name).replace(cache / _FILE)


def chosen(cache: Path, geometry: Geometry) -> str | None:
    """The kernel that was fastest for a geometry, None where vLLM is to choose."""
    return next((one.kernel for one in _kept(cache) if one.geometry == geometry), None)


def _kept(cache: Path) -> list[Choice]:
    try:
        text = (cache / _FILE).read_text(encoding="utf-8")
        return [Choice.model_validate(one) for one in json.loads(text)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, RecursionError, ValidationError) as error:
        log.warning("timings of attention kernels cannot be read", file=_FILE, error=type(error).__name__)
        return []
