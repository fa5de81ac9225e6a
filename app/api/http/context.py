"""A request's context, built once: the running backend, the limits, the client, the deadline."""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeVar

from fastapi import Request

from app.api.request_scope import request_scope
from app.api.state import state_of
from app.errors import ClientGone, DeadlineExceeded, InvalidRequest
from app.inference.backend import Backend
from app.inference.generation import Caller
from app.inference.lifecycle import Lifecycle
from app.inference.priority import PriorityGate
from app.provenance.content_credentials import Sign
from app.security.audit import Kind
from app.security.identity import Scope
from app.settings import LimitsSettings

T = TypeVar("T")
_TIMEOUT_HEADER = "x-request-timeout"


@dataclass(frozen=True)
class Context:
    """What a route and its task need of a request. `deadline` is a time of the event loop, `seconds` away at first."""

    request: Request
    backend: Backend
    lifecycle: Lifecycle
    gate: PriorityGate
    limits: LimitsSettings
    caller: Caller
    seconds: float
    deadline: float

    # A class method that routes call: what the framework does to solve one dependency costs as much as reading a form.
    @classmethod
    def from_request(cls, request: Request) -> "Context":
        """The context of a request. Raises Unavailable while nothing serves it, InvalidRequest."""
        state = state_of(request)
        backend = state.lifecycle.backend_when_ready()
        guard, identity = state.started_guard, request_scope(request.scope).identity
        seconds = _seconds(request, state.settings.limits)
        return cls(
            request=request,
            backend=backend,
            lifecycle=state.lifecycle,
            gate=state.gate,
            limits=state.settings.limits,
            caller=Caller(cache_salt=guard.salt(identity), reserve=partial(guard.limiter.reserve, identity)),
            seconds=seconds,
            deadline=asyncio.get_running_loop().time() + seconds,
        )

    def caller_of(self, screen: Literal["on", "off"]) -> Caller:
        """The client, whose image is looked at, or is not by its own wish: an administrator's, which the audit keeps.

        Raises Forbidden.
        """
        if screen == "on":
            return self.caller
        state, scope = state_of(self.request), request_scope(self.request.scope)
        state.started_guard.authorise(scope.identity, Scope.ADMIN)
        if state.audit is not None:
            state.audit.note(Kind.RESTRICTED, scope.identity.id, "screen off", "ok", request_id=scope.request_id)
        return replace(self.caller, screening="off")

    @property
    def sign(self) -> Sign | None:
        """What signs drawings, None where they are not signed."""
        return state_of(self.request).sign

    def pseudonym(self, prompt: str) -> str:
        """What stands for a prompt outside the service."""
        return state_of(self.request).started_guard.pseudonym(prompt)

    async def while_connected(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, an interactive request, which ends when the client leaves or the deadline passes.

        Raises DeadlineExceeded, ClientGone, and whatever `work` raises.
        """
        watcher = asyncio.ensure_future(_wait_for_disconnect(self.request))
        try:
            async with asyncio.timeout_at(self.deadline) as until:
                watcher.add_done_callback(partial(_end_now, until))
                with self.gate.interactive():
                    return await work
        except TimeoutError:
            if not until.expired():
                raise
            if watcher.done():
                raise ClientGone("The client left.") from None
            raise DeadlineExceeded(f"The request took longer than {self.seconds:g} seconds.") from None
        finally:
            watcher.cancel()


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _end_now(until: asyncio.Timeout, watcher: "asyncio.Future[None]") -> None:
    """The client has left: its deadline is now."""
    # The work may have ended in the same turn of the loop, and its deadline with it.
    if not watcher.cancelled():
        with contextlib.suppress(RuntimeError):
            until.reschedule(0.0)


def _seconds(request: Request, limits: LimitsSettings) -> float:
    """Seconds that the request may take: the service's limit, or less by X-Request-Timeout. Raises InvalidRequest."""
    given = request.headers.get(_TIMEOUT_HEADER)
    if given is None:
        return limits.deadline_seconds
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < float("inf"):
        raise InvalidRequest("X-Request-Timeout: give a number of seconds above 0.")
    return min(seconds, limits.deadline_seconds)


def check_prompt(name: str, text: str, limits: LimitsSettings) -> None:
    """Refuse a text above the limit. Raises InvalidRequest."""
    if len(text) > limits.max_prompt_chars:
        raise InvalidRequest(
            f"{name}: {len(text)} characters are more than the limit of {limits.max_prompt_chars}",
            code="prompt_too_long",
        )


def check_best_of(best_of: int | None, count: int, limit: int) -> None:
    """Refuse more candidates than one request may have drawn: they cost as much as images that are returned.

    Raises InvalidRequest.
    """
    drawn = (best_of or 1) * count
    if drawn > limit:
        detail = f"best_of: {best_of} candidates of each of {count} are {drawn} images, more than the limit of {limit}"
        raise InvalidRequest(detail, code="best_of")


def check_count(name: str, value: int | None, limit: int) -> None:
    """Refuse a count above its limit. Raises InvalidRequest."""
    if value is not None and value > limit:
        raise InvalidRequest(f"{name}: {value} is more than the limit of {limit}")
