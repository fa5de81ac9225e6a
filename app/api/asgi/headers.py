"""Headers of ASGI messages as the protocol has them: pairs of bytes, names in lower case.

The framework's mappings decode and search per access; the middleware touches a dozen headers in every request.
"""

from collections.abc import Iterable, Mapping

from starlette.types import Scope

RawHeaders = tuple[tuple[bytes, bytes], ...]


def header_of(scope: Scope, name: bytes) -> str:
    """A request's header by its name in lower case, the first of several; empty without."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return ""


def raw(headers: Mapping[str, str]) -> RawHeaders:
    """Headers as pairs of bytes."""
    return tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items())


def replaced(headers: Iterable[tuple[bytes, bytes]], ours: RawHeaders) -> list[tuple[bytes, bytes]]:
    """A message's headers with `ours` in the place of those of the same names."""
    names = {name for name, _ in ours}
    return [*(pair for pair in headers if pair[0] not in names), *ours]


def without_host(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """A redirection's headers, with a Location that names no host: it would be what the client's own Host says."""
    return [(name, _path_of(value) if name == b"location" else value) for name, value in headers]


def _path_of(location: bytes) -> bytes:
    scheme, found, rest = location.partition(b"://")
    return b"/" + rest.partition(b"/")[2] if found and b"/" not in scheme else location
