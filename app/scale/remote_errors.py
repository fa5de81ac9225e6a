"""What a call to a replica raises, as the service's own errors."""

from ray.exceptions import RayTaskError
from ray.serve.exceptions import BackPressureError

from app.errors import CxrError, FatalError, Overloaded, Unavailable, WorkerFailed


def cause_of(error: BaseException) -> BaseException:
    """What the replica itself has raised, or the error as it is.

    Ray raises `RayTaskError(EngineDead)`, which is an EngineDead, too: whoever catches a FatalError would take it for
    one of its own process.
    """
    return error.cause if isinstance(error, RayTaskError) and isinstance(error.cause, BaseException) else error


def is_lost(error: BaseException) -> bool:
    """Whether the replica is gone, or none was to be had: another one may do the same work."""
    if isinstance(error, BackPressureError):
        return False
    return not isinstance(error, RayTaskError) or isinstance(cause_of(error), FatalError)


def translated(error: BaseException) -> CxrError:
    """A failed call as an error of this service. Never fatal: Serve replaces the replica, and this process goes on."""
    if isinstance(error, BackPressureError):
        return Overloaded("All replicas are busy, and as many requests wait as may.")
    cause = cause_of(error)
    if is_lost(error):
        return Unavailable("A replica of the cluster is gone, or none is ready.")
    if isinstance(cause, CxrError):
        return cause
    return WorkerFailed("A replica of the cluster failed on this request.")
