"""Each client does what it does against OpenAI. Its cases are in `cases`, in its own language and by its own means."""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.clients import environment
from tests.clients.served import MODEL, OFFLINE, Proxy, services
from tests.support.service import encoded, gradient

CASES = Path(__file__).parent / "cases"
_NAME = re.compile(r'^(?:@case|await test)\("(.+?)"[,)]', re.MULTILINE)
_SECONDS = 120.0

pytestmark = pytest.mark.network


class Client(NamedTuple):
    """A client: the script of its cases, and which of its own providers they are tried with."""

    name: str
    script: str
    provider: str = ""


CLIENTS = (
    Client("npm-openai", "npm_openai.mjs"),
    Client("ai-sdk-openai", "ai_sdk.mjs", "openai"),
    Client("ai-sdk-openai-compatible", "ai_sdk.mjs", "openai-compatible"),
    Client("litellm-openai", "litellm_sdk.py", "openai"),
    Client("litellm-hosted-vllm", "litellm_sdk.py", "hosted_vllm"),
    Client("litellm-proxy", "litellm_proxy.py"),
    Client("langchain", "langchain_chat.py"),
    Client("llama-index", "llama_index_like.py"),
    Client("instructor", "instructor_client.py"),
)
ALL = [(client, case) for client in CLIENTS for case in _NAME.findall((CASES / client.script).read_text())]


@pytest.fixture(scope="module")
def _environment() -> None:
    try:
        environment.set_up()
    except environment.Unreachable:
        pytest.skip("PyPI or npm's registry cannot be reached from here")


@pytest.fixture(scope="module")
def addresses(_environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with services(tmp_path_factory.mktemp("clients")) as started:
        yield started


@pytest.fixture(scope="module")
def proxy(addresses: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    models = {"chest": addresses["service"], "aborting": addresses["aborting"]}
    with Proxy(tmp_path_factory.mktemp("proxy") / "litellm", models) as started:
        yield {"proxy": started.url, "key": started.key}


@pytest.fixture(scope="module")
def outcome(
    addresses: dict[str, str], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Client, str], str]:
    """What became of a client's case. A client's cases run together, at the first that is asked for: most of a case's
    time would be its process's start.
    """
    image = f"data:image/png;base64,{base64.b64encode(encoded(gradient())).decode()}"
    found: dict[Client, Callable[[str], str]] = {}

    def of(client: Client, case: str) -> str:
        if client not in found:
            more = request.getfixturevalue("proxy") if client.name == "litellm-proxy" else {}
            given = {**addresses, **more, "image": image, "model": MODEL, "provider": client.provider}
            found[client] = run(client, given, tmp_path_factory.mktemp("home"))
        return found[client](case)

    return of


def run(client: Client, given: dict[str, str], home: Path) -> Callable[[str], str]:
    """Run a client's cases. Nothing of this process's environment tells it where to go."""
    with tempfile.TemporaryDirectory(dir=environment.NODE_PACKAGES) as beside:
        # Node.js looks for packages beside the script that asks for them.
        script = Path(shutil.copytree(CASES, beside, dirs_exist_ok=True)) / client.script
        done = subprocess.run(
            [environment.node() if script.suffix == ".mjs" else environment.PYTHON, script, json.dumps(given)],
            env={"PATH": os.environ["PATH"], "HOME": str(home), **OFFLINE},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    outcomes = {} if done.returncode else json.loads(done.stdout.strip().rpartition("\n")[2])
    return lambda case: outcomes.get(case, f"The script ended before it:\n{done.stdout}\n{done.stderr}")


@pytest.mark.parametrize(("client", "case"), ALL, ids=[f"{client.name}: {case}" for client, case in ALL])
def test_the_client_works_unmodified(client: Client, case: str, outcome: Callable[[Client, str], str]) -> None:
    assert not outcome(client, case)


@pytest.mark.parametrize("script", sorted({client.script for client in CLIENTS}))
def test_every_case_is_a_test(script: str) -> None:
    text = (CASES / script).read_text()
    assert len(_NAME.findall(text)) == text.count("\n@case(") + text.count("\nawait test(")
