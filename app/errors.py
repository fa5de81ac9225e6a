"""The exceptions of the service. Nothing here knows HTTP; `app/api/http/problems.py` maps each class to a status.

CxrError
├── InputError                what the client sent cannot be used
│   ├── MalformedInput        not what it claims to be, or damaged
│   ├── InvalidRequest        well formed, but a field is out of bounds
│   ├── TooLarge              more bytes than allowed
│   ├── UnsupportedMedia      a format or transfer syntax that is not read here
│   ├── UnusableImage         readable, but not a usable frontal chest radiograph
│   │   └── RefusedByScreen   the pixels look like something else
│   ├── NotAcceptable         no representation the client accepts
│   └── NotFound              no such resource
│       └── Gone              it was held, and its file is missing or damaged
├── Unauthenticated           no client that is known here
├── Forbidden                 a known client without the scope
│   └── ForeignOrigin         a browser sends this for a page of another site
├── Misdirected               for a host that this service is not
├── Overloaded                a bounded queue is full; try again later
│   └── RateLimited           the client has done as much as it may
├── Unavailable               not ready, or shutting down
├── OutOfSpace                the disk is past its watermark, or full
├── Conflict                  the resource is not in a state that allows this
├── KeyReused                 an idempotency key that stands for another request
├── DeliveryFailed            a destination did not take an object; `permanent` says that it never will
├── DeadlineExceeded          the request took longer than allowed
├── ClientGone                the client left before its answer was ready
├── ResemblesTraining         a drawing is too similar to a film of the model's training to be given
├── WorkerFailed              one request failed in the codec or the engine; others go on
└── FatalError                the codec, the decoders or the engine is gone; the process has to be replaced
    ├── CodecDead
    ├── DecodersDead
    └── EngineDead
"""

from collections.abc import Mapping
from functools import partial


class CxrError(Exception):
    """Root of the tree. `detail` is shown to clients: one sentence without paths, patient data or stack traces."""

    code = "internal_error"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process boundaries (the imaging sandbox); keyword-only arguments need help there.
        return partial(type(self), code=self.code), (self.detail,)


class InputError(CxrError):
    """What the client sent cannot be used."""

    code = "invalid_input"


class MalformedInput(InputError):
    """The input is not what it claims to be, or is damaged."""

    code = "malformed"


class InvalidRequest(InputError):
    """The request is well formed, but a field is out of bounds."""

    code = "invalid_request"


class TooLarge(InputError):
    """The request has more bytes than allowed."""

    code = "too_large"


class UnsupportedMedia(InputError):
    """A format or transfer syntax that is not read here."""

    code = "unsupported_media"


class UnusableImage(InputError):
    """A readable image that is not a usable frontal chest radiograph; `code` says why."""

    code = "unusable_image"


class RefusedByScreen(UnusableImage):
    """The pixels do not look like a readable, upright frontal chest radiograph; `probabilities` says what like."""

    def __init__(
        self, detail: str, *, code: str | None = None, probabilities: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(detail, code=code)
        self.probabilities = dict(probabilities or {})


class NotAcceptable(InputError):
    """No representation that the client accepts."""

    code = "not_acceptable"


class NotFound(InputError):
    """No such resource."""

    code = "not_found"


class Gone(NotFound):
    """It was held once, and is not any more: removed, missing or damaged."""

    code = "gone"


class Unauthenticated(CxrError):
    """The request comes from no client that is known here."""

    code = "unauthenticated"


class Forbidden(CxrError):
    """The client is known and lacks the scope."""

    code = "forbidden"


class ForeignOrigin(Forbidden):
    """A page of another site made a browser send this."""

    code = "cross_site"


class Misdirected(CxrError):
    """The request is for a host that this service is not."""

    code = "unknown_host"


class Overloaded(CxrError):
    """A bounded queue is full; `retry_after` seconds is when to try again."""

    code = "overloaded"
    retry_after = 2


class RateLimited(Overloaded):
    """The client has done as much as it may; `retry_after` seconds is when it may do more."""

    code = "rate_limited"

    def __init__(self, detail: str, *, code: str | None = None, retry_after: int = 1) -> None:
        super().__init__(detail, code=code)
        self.retry_after = retry_after


class Unavailable(CxrError):
    """The service is not ready or is shutting down; `retry_after` seconds is when to try again."""

    code = "unavailable"
    retry_after = 5


class GenerationAborted(Unavailable):
    """The engine ended a generation before its end: nothing of it is an answer."""

    code = "generation_aborted"

    def __init__(self, detail: str = "", *, code: str | None = None) -> None:
        super().__init__(detail or "The engine ended the generation before its end; nothing of it is given.", code=code)


class OutOfSpace(CxrError):
    """The disk is past its watermark, or full; `retry_after` seconds is when to try again."""

    code = "out_of_space"
    retry_after = 60


class Conflict(CxrError):
    """The resource is not in a state that allows this."""

    code = "conflict"


class KeyReused(CxrError):
    """An idempotency key that stands for another request."""

    code = "idempotency_key_reused"


class DeliveryFailed(CxrError):
    """A destination did not take an object. `permanent`: it refused this object, and another attempt is of no use."""

    code = "delivery_failed"

    def __init__(self, detail: str, *, code: str | None = None, permanent: bool = False) -> None:
        super().__init__(detail, code=code)
        self.permanent = permanent


class DeadlineExceeded(CxrError):
    """The request took longer than allowed."""

    code = "deadline_exceeded"


class ClientGone(CxrError):
    """The client left before its answer was ready."""

    code = "client_gone"


class ResemblesTraining(CxrError):
    """A drawing, and each of those drawn again, is too similar to a film that the model was trained on."""

    code = "resembles_training_image"


class WorkerFailed(CxrError):
    """One request failed in the codec or the engine; other requests go on."""

    code = "worker_failed"


class FatalError(CxrError):
    """A part of the service is gone for good; the process has to be replaced."""

    code = "worker_dead"


class CodecDead(FatalError):
    """The codec's worker is gone."""

    code = "codec_dead"


class DecodersDead(FatalError):
    """No process that decodes images can be started."""

    code = "decoders_dead"


class EngineDead(FatalError):
    """The language-model engine is gone."""

    code = "engine_dead"
