"""TLS handshakes that fail, which the event loop keeps to itself."""

import ssl
from collections.abc import Callable


def watch(context: ssl.SSLContext, failed: Callable[[str], None]) -> ssl.SSLContext:
    """Have `failed` called with OpenSSL's reason for each handshake of the context that fails.

    The loop's TLS works on buffers and knows no peer's address here. Who only connects and leaves is not seen.
    """

    class Watched(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                failed(reason_of(error))
                raise

    context.sslobject_class = Watched
    return context


def reason_of(error: ssl.SSLError) -> str:
    """OpenSSL's word for it, which holds nothing of the peer's."""
    return (error.reason or type(error).__name__).lower().replace("_", " ")
