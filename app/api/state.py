"""The running service as the API sees it: one typed value in `app.state.service`."""

from dataclasses import dataclass

from fastapi import Request

from app.api.readiness import ReadinessProbe
from app.imaging.headers import Headers
from app.imaging.transcoder import Transcoder
from app.inference.lifecycle import Lifecycle
from app.inference.priority import PriorityGate
from app.jobs.service import StudyService
from app.provenance.content_credentials import ContentCredentials, Sign
from app.security.audit import AuditLog
from app.security.guard import Guard
from app.settings import Settings
from app.store.kept import KeptAnswers


@dataclass
class ServiceState:
    """The parts of one application. `guard`, `audit`, `studies`, `kept` and, where drawings are signed,
    `credentials` are there once it has started.
    """

    settings: Settings
    lifecycle: Lifecycle
    gate: PriorityGate
    readiness: ReadinessProbe
    headers: Headers
    transcoder: Transcoder
    guard: Guard | None = None
    audit: AuditLog | None = None
    studies: StudyService | None = None
    kept: KeptAnswers | None = None
    credentials: ContentCredentials | None = None

    @property
    def sign(self) -> Sign | None:
        """What signs drawings, None where they are not signed."""
        return None if self.credentials is None else self.credentials.sign

    @property
    def started_guard(self) -> Guard:
        """The guard of a started application."""
        assert self.guard is not None
        return self.guard


def state_of(request: Request) -> ServiceState:
    """The state of the application that a request came to."""
    state: ServiceState = request.app.state.service
    return state
