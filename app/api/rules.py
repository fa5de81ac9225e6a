"""What each path asks of a client, in one table."""

from dataclasses import dataclass

from app.security.identity import Scope


@dataclass(frozen=True)
class Rule:
    """Paths that begin with `prefix`: the scope they need (None: open to all), and what metrics count them as."""

    prefix: str
    scope: Scope | None
    task: str

    @property
    def audited(self) -> bool:
        """Whether its requests are kept in the audit log: all but those that touch no patient's data."""
        return self.task not in ("operations", "models")


# The first prefix that fits counts.
RULES = (
    Rule("/v1/reports", Scope.INFER, "report"),
    Rule("/v1/answers", Scope.INFER, "answer"),
    Rule("/v1/images/generations", Scope.INFER, "draw"),
    Rule("/v1/images/edits", Scope.INFER, "draw"),
    Rule("/v1/images/", Scope.INFER, "codes"),
    Rule("/v1/chat/", Scope.INFER, "chat"),
    Rule("/v1/models", Scope.INFER, "models"),
    Rule("/v1/jobs", Scope.DICOM, "studies"),
    Rule("/v1/", Scope.ADMIN, "other"),
    Rule("/dicom-web/", Scope.DICOM, "dicomweb"),
    Rule("/metrics", Scope.METRICS, "operations"),
    Rule("/livez", None, "operations"),
    Rule("/readyz", None, "operations"),
    Rule("/startupz", None, "operations"),
)
_OPEN = Rule("/", None, "other")


def rule_of(path: str) -> Rule:
    """The rule of a path; pages, documentation and versions are open."""
    return next((rule for rule in RULES if path.startswith(rule.prefix)), _OPEN)
