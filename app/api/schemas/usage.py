"""Wire models of what a client has used of its limits."""

from typing import Literal

from pydantic import Field

from app.api.schemas.common import WireModel


class BudgetBody(WireModel):
    """One limit. `limit` and `remaining` are null where there is none."""

    limit: int | None
    used: int
    remaining: int | None
    reset_seconds: int = Field(description="seconds until all of it is there again; 0 where nothing is used")


class UnderWay(WireModel):
    """Requests at once."""

    limit: int
    used: int


class ClientUsage(WireModel):
    """What a client has used of its limits, as the limits themselves count it."""

    object: Literal["usage"] = "usage"
    client: str = Field(description="`key:ID`, `oidc:PSEUDONYM`, `ae:TITLE`, or `anonymous`, which is not counted")
    requests_per_minute: BudgetBody = Field(description="counted where there is a limit")
    requests_under_way: UnderWay = Field(description="at the node that answers; this request is one of them")
    tokens_per_day: BudgetBody = Field(
        description="read and written, as `usage` of the answers reports them; what is under way counts at its longest"
    )
