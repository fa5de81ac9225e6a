"""What the clients are tried against: the service on fakes in three moods, and a LiteLLM proxy before it."""

import contextlib
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx

from app.settings import Settings
from benchmarks.contenders.served import ServedContender
from models.bundle.manifest import read_manifest
from tests.clients.environment import PYTHON
from tests.support.process import ServiceProcess

MODEL = read_manifest(Settings().bundle).label
# LiteLLM would fetch a list of prices when it is imported.
OFFLINE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
# With four ids a step the text comes in two pieces.
_MOODS = {
    "service": ["--chunk", "4", "--step-seconds", "0.005"],
    "slow": ["--chunk", "4", "--step-seconds", "0.1"],
    "aborting": ["--chunk", "4", "--aborts-after", "1"],
}


@contextlib.contextmanager
def services(folder: Path) -> Iterator[dict[str, str]]:
    """Addresses of services by mood."""
    with contextlib.ExitStack() as stack:
        made = {mood: ServiceProcess(folder / mood, flags=flags) for mood, flags in _MOODS.items()}
        yield {mood: stack.enter_context(service).url for mood, service in made.items()}


class Proxy(ServedContender):
    """LiteLLM's proxy: a model for each of some services."""

    def __init__(self, folder: Path, addresses: dict[str, str]) -> None:
        # It refuses a weak key, and does not start without one.
        self.key = f"sk-{secrets.token_hex(32)}"
        models = [
            {
                "model_name": name,
                "litellm_params": {"model": f"openai/{MODEL}", "api_base": f"{address}/v1", "api_key": "unused"},
            }
            for name, address in addresses.items()
        ]
        settings = {
            "model_list": models,
            "general_settings": {"master_key": self.key},
            # What is refused on purpose would put the model aside for the next case.
            "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        }
        folder.mkdir()
        (folder / "config.yaml").write_text(json.dumps(settings))
        # By its Python: the program names the place where the environment was made.
        program = (str(PYTHON), str(PYTHON.with_name("litellm")))
        super().__init__(
            [*program, "--config", str(folder / "config.yaml"), "--host", "127.0.0.1", "--telemetry", "False"],
            folder / "proxy.log",
            environment=OFFLINE,
            without=("OPENAI_", "LITELLM_", "PYTHONPATH"),
            cwd=folder,
            start_timeout=120.0,
        )

    @property
    def ready(self) -> bool:
        """Whether it lives; its `/health` asks its models."""
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/health/liveliness", trust_env=False).status_code == httpx.codes.OK
        return False
