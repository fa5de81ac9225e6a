"""A request as an event of the audit log."""

from starlette.types import Scope

from app.api.request_scope import request_scope
from app.security.audit import AuditLog, Kind
from app.security.identity import Identity

_OF_STUDIES = {"POST": Kind.JOB_CHANGED, "DELETE": Kind.JOB_CHANGED}
_OF_DICOMWEB = {"POST": Kind.RECEIVED, "DELETE": Kind.DELETED}
# QIDO-RS answers about levels, and ends with one; the list of jobs has no id.
_SEARCHES = ("/studies", "/series", "/instances", "/v1/jobs")


def note_request(audit: AuditLog, scope: Scope, identity: Identity | None, status: int) -> None:
    """Note a request at its end; `identity` is None where nobody was known, `status` 0 where nothing was answered."""
    context = request_scope(scope)
    # The template, never the path, which holds UIDs; they are among the pseudonyms.
    route = getattr(scope.get("route"), "path", context.rule.prefix)
    what, outcome = f"{scope['method']} {route}", str(status or "aborted")
    source = (scope.get("client") or ("unknown",))[0]
    if identity is None:
        audit.refuse(Kind.REFUSED, source, what, outcome, request_id=context.request_id)
        return
    touched = context.touched
    audit.note(
        Kind.RESTRICTED if status == 403 else _kind(context.rule.task, scope["method"], route),
        identity.id,
        what,
        outcome,
        studies=touched.studies,
        patients=touched.patients,
        instances=touched.instances or None,
        keys=sorted(touched.keys),
        source=source,
        request_id=context.request_id,
    )


def _kind(task: str, method: str, route: str) -> Kind:
    if task == "dicomweb":
        found = _OF_DICOMWEB.get(method)
    elif task == "studies":
        found = _OF_STUDIES.get(method)
    else:
        return Kind.INFERENCE
    return found or (Kind.QUERY if route.endswith(_SEARCHES) else Kind.RETRIEVED)
