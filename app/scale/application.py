"""Builders of the Serve applications, for `serve deploy` and `serve run`: `app.scale.application:engine` and `:codec`.

Both take arguments by name: `fake` for trials without a model, and what goes to Ray's actors (`num_gpus`, `num_cpus`).
"""

from typing import Any

from pydantic import BaseModel
from ray import serve
from ray.serve import Application

from app.scale.replicas import CodecReplica, EngineReplica
from app.settings import Settings, load_settings

# Serve ends a replica that is updated this much after the longest request may have been over.
_GRACE_SECONDS = 30.0
_HEALTH_SECONDS, _HEALTH_LIMIT_SECONDS = 5.0, 60.0
# An engine takes a minute or two to start: scaling back at once would start it again with the next wave.
_DOWNSCALE_SECONDS = 600.0


class EngineArguments(BaseModel):
    """Of `engine`. The number of GPUs is by default one a tensor-parallel part, where there are any."""

    fake: dict[str, Any] | None = None
    num_gpus: float | None = None
    num_cpus: float = 1.0


class CodecArguments(BaseModel):
    """Of `codec`."""

    fake: bool = False
    num_gpus: float = 0.0
    num_cpus: float = 1.0


def engine(arguments: EngineArguments) -> Application:
    """The engines."""
    settings = load_settings()
    split, copies = settings.engine.tensor_parallel_size, settings.engine.data_parallel_size
    if copies > 1:
        raise ValueError("an engine in a Ray cluster is one; CXR_SCALE__ENGINES says how many there are")
    gpus = float(split if settings.codec.device != "cpu" else 0) if arguments.num_gpus is None else arguments.num_gpus
    placed: dict[str, Any] = {"ray_actor_options": {"num_cpus": arguments.num_cpus, "num_gpus": gpus}}
    if split > 1:
        bundles = [{"CPU": arguments.num_cpus}, *[{"GPU": 1.0}] * split]
        placed = {
            "ray_actor_options": {"num_cpus": arguments.num_cpus},
            "placement_group_bundles": bundles,
            "placement_group_strategy": "STRICT_PACK",
        }
    most = settings.engine.max_num_seqs
    deployment = serve.deployment(EngineReplica, name="Engine")
    options = {**_options(settings, settings.scale.engines, most), **placed}
    return deployment.options(**options).bind(arguments.fake)


def codec(arguments: CodecArguments) -> Application:
    """The codecs."""
    settings = load_settings()
    options = _options(settings, settings.scale.codecs, settings.codec.max_queue)
    actor = {"num_cpus": arguments.num_cpus, "num_gpus": arguments.num_gpus}
    deployment = serve.deployment(CodecReplica, name="Codec")
    return deployment.options(**options, ray_actor_options=actor).bind(arguments.fake)


def _options(settings: Settings, replicas: str, most: int) -> dict[str, Any]:
    least, _, highest = replicas.partition(":")
    number: dict[str, Any] = {"num_replicas": int(least)}
    if highest:
        number = {
            "autoscaling_config": {
                "min_replicas": int(least),
                "max_replicas": int(highest),
                "target_ongoing_requests": min(settings.scale.requests_each, most),
                "downscale_delay_s": _DOWNSCALE_SECONDS,
            }
        }
    return {
        **number,
        "max_ongoing_requests": most,
        "max_queued_requests": settings.scale.max_queued,
        "health_check_period_s": _HEALTH_SECONDS,
        "health_check_timeout_s": _HEALTH_LIMIT_SECONDS,
        "graceful_shutdown_timeout_s": settings.limits.deadline_seconds + _GRACE_SECONDS,
        "graceful_shutdown_wait_loop_s": 1.0,
    }
