"""What each path asks of a client, in one table."""

from dataclasses import dataclass

from app.security.identity import Scope

_READING = ("GET", "HEAD")
_ANY = tuple(Scope)
_SPENDING = ("report", "answer", "findings", "evidence", "draw", "chat", "dicomweb")
_STUDIES = (Scope.DICOM_READ, Scope.JOBS_MANAGE, Scope.DICOM_STORE)


@dataclass(frozen=True)
class Rule:
    """Paths that begin with `prefix`: the scopes of which a client needs one (none: open to all), for reading and for
    every other method, and what metrics count them as.
    """

    prefix: str
    read: tuple[Scope, ...]
    task: str
    write: tuple[Scope, ...] | None = None
    delete: tuple[Scope, ...] | None = None

    def scopes(self, method: str) -> tuple[Scope, ...]:
        """The scopes of which a request needs one; none: it is open to all."""
        if method in _READING or self.write is None:
            return self.read
        return self.delete if method == "DELETE" and self.delete is not None else self.write

    def spends(self, method: str) -> bool:
        """Whether a request may take tokens: a client that has none left is refused before its body is read."""
        return method == "POST" and self.task in _SPENDING

    @property
    def is_open(self) -> bool:
        """Whether everybody is let in."""
        return not self.read

    @property
    def embeddable(self) -> bool:
        """Whether pages of other sites may show it: a drawing by its URL."""
        return self.task == "file"

    @property
    def audited(self) -> bool:
        """Whether its requests are kept in the audit log: all but those that touch no patient's data."""
        return self.task not in ("operations", "models", "usage")


# The first prefix that fits counts. Of jobs, a client sees what `app.api.http.visibility` says.
RULES = (
    Rule("/v1/reports", (Scope.INFER,), "report"),
    Rule("/v1/answers", (Scope.INFER,), "answer"),
    Rule("/v1/findings", (Scope.INFER,), "findings"),
    Rule("/v1/evidence", (Scope.INFER,), "evidence"),
    Rule("/v1/images/generations", (Scope.INFER,), "draw"),
    Rule("/v1/images/edits", (Scope.INFER,), "draw"),
    # The signature of a drawing's URL is its key.
    Rule("/v1/images/files/", (), "file"),
    Rule("/v1/images/", (Scope.INFER,), "codes"),
    Rule("/v1/chat/", (Scope.INFER,), "chat"),
    Rule("/v1/models", (Scope.INFER,), "models"),
    Rule("/v1/usage", _ANY, "usage"),
    Rule("/v1/jobs", _STUDIES, "studies", write=(Scope.JOBS_MANAGE,)),
    Rule("/v1/", (Scope.ADMIN,), "other"),
    Rule("/dicom-web/", (Scope.DICOM_READ,), "dicomweb", write=(Scope.DICOM_STORE,), delete=(Scope.ADMIN,)),
    Rule("/metrics", (Scope.METRICS,), "operations"),
    Rule("/livez", (), "operations"),
    Rule("/readyz", (), "operations"),
    Rule("/startupz", (), "operations"),
    Rule("/health", (), "operations"),
)
_OPEN = Rule("/", (), "other")


def rule_of(path: str) -> Rule:
    """The rule of a path; pages, documentation and versions are open."""
    return next((rule for rule in RULES if path.startswith(rule.prefix)), _OPEN)
