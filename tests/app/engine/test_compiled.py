"""What was compiled is loaded by vLLM, whoever compiled it."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from app.engine import compiled


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The function that vLLM calls, over a torch that loads what it is given."""
    monkeypatch.setattr(torch.compiler, "load_compiled_function", torch.compiler.load_compiled_function)
    monkeypatch.setattr(
        compiled, "_load", lambda function: SimpleNamespace(_artifacts=SimpleNamespace(compiled_fn=function))
    )
    compiled.load_what_was_compiled()
    return torch.compiler.load_compiled_function


def test_what_torch_compiled_has_the_name_that_vllm_calls(load: Any) -> None:
    def function() -> None: ...

    assert load(function)._artifacts.compiled_fn.finalize_loading(object()) is None


def test_what_vllm_compiled_is_finished_as_it_says(load: Any) -> None:
    function = SimpleNamespace(finalize_loading=lambda config: "finished")
    assert load(function)._artifacts.compiled_fn.finalize_loading(object()) == "finished"
