"""Settings of engines and codecs that run elsewhere."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt

from app.settings.group import Group


def _in_order(replicas: str) -> str:
    least, _, most = replicas.partition(":")
    if most and int(most) < int(least):
        raise ValueError(f"the least comes first, such as {most}:{least}")
    return replicas


# A number of replicas, or the least and the most of them.
Replicas = Annotated[str, Field(pattern=r"^[1-9]\d{0,4}(:[1-9]\d{0,4})?$"), AfterValidator(_in_order)]


class ScaleSettings(Group):
    """Where engine and codec are. In a Ray cluster, gateways and replicas read the same settings."""

    backend: Literal["local", "ray"] = Field(
        default="local", description="local: in this process; ray: deployments of Ray Serve"
    )
    address: str = Field(
        default="auto", min_length=1, description="the Ray cluster's GCS, host:port; auto: of this machine's node"
    )
    engines: Replicas = Field(default="1", description="engine replicas, or least:most")
    codecs: Replicas = Field(default="1", description="codec replicas, or least:most")
    requests_each: PositiveInt = Field(
        default=32, description="requests under way in a replica that the number of replicas is kept at"
    )
    max_queued: PositiveInt = Field(
        default=512, description="requests of one gateway that wait for a replica; one more is 429"
    )
    coalesce_ms: PositiveFloat = Field(
        default=50.0, le=1000.0, description="longest that a replica holds tokens back, to send them together"
    )
    start_seconds: PositiveFloat = Field(default=900.0, description="longest wait for the replicas at the start")
