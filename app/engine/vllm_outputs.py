"""What vLLM says of a request, in our words."""

from collections.abc import Mapping
from typing import NoReturn

from vllm.logprobs import Logprob
from vllm.outputs import RequestOutput
from vllm.v1.metrics.stats import RequestStateStats

from app.errors import GenerationAborted, InvalidRequest, WorkerFailed


def queue_seconds(output: RequestOutput) -> float | None:
    """How long a request waited for its turn, by the engine's own clock."""
    stats = output.metrics
    if not isinstance(stats, RequestStateStats) or not stats.scheduled_ts:
        return None
    return float(max(0.0, stats.scheduled_ts - stats.queued_ts))


def last_places(output: RequestOutput, count: int) -> list[Mapping[int, Logprob]]:
    """What is known of each of the prompt's last `count` ids. Raises WorkerFailed where vLLM does not say."""
    # From the end: of what was in the prefix cache the V2 model runner says nothing, the V1 what is not so.
    found = [entry for entry in (output.prompt_logprobs or [])[-count:] if entry is not None]
    if len(found) != count:
        raise WorkerFailed("The language-model engine did not say how likely the prompt is.")
    return found


def raise_ended(reason: int | str | None) -> NoReturn:
    """Why the engine has ended a generation: our scheduler says so of guided drawings (`app.engine.pairs`)."""
    if reason == "guidance_too_large":
        raise InvalidRequest("The KV cache has no room for both rows of a guided drawing.", code="guidance_not_offered")
    if reason is not None:
        raise WorkerFailed(f"The engine has ended half of a guided drawing: {reason}.")
    raise GenerationAborted  # a core that was stopped or has died: `abort`, `error`
