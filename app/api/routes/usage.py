"""What a client has used of its limits."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from app.api.http.responses import openai_errors
from app.api.request_scope import request_scope
from app.api.schemas.usage import BudgetBody, ClientUsage, UnderWay
from app.api.state import state_of
from app.security.identity import Scope
from app.security.limiter import Budget

router = APIRouter(prefix="/v1/usage", tags=["service"])


@router.get("", responses=openai_errors(400, 404), summary="What a client has used of its limits")
async def usage(
    request: Request,
    key: Annotated[str | None, Query(description="another key's id (`cxr keys list`): for administrators")] = None,
) -> ClientUsage:
    """The limits of the key that asks, and what is left of them. The `x-ratelimit-*` headers say the same."""
    guard, client = state_of(request).started_guard, request_scope(request.scope).identity
    if key is not None:
        guard.authorise(client, Scope.ADMIN)
        client = guard.client_of_key(key)
    limiter = guard.limiter
    under_way, most = limiter.under_way_of(client)
    return ClientUsage(
        client=client.id,
        requests_per_minute=_body(limiter.requests(client)),
        requests_under_way=UnderWay(limit=most, used=under_way),
        tokens_per_day=_body(limiter.tokens(client)),
    )


def _body(budget: Budget) -> BudgetBody:
    return BudgetBody(
        limit=budget.limit, used=budget.used, remaining=budget.remaining, reset_seconds=budget.reset_seconds
    )
