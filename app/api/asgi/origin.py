"""Which names a service answers to, and which pages may post to it.

A page of another site can make a browser send requests here. Under its own name, which its name server lets point to
127.0.0.1 (DNS rebinding), it can read the answers too, where everybody is let in.
"""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import Scope

from app.api.asgi.headers import header_of
from app.errors import ForeignOrigin, MalformedInput, Misdirected

_READING = ("GET", "HEAD")
# uri-host and port of RFC 9110 7.2.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")


def meant(hosts: Iterable[str]) -> frozenset[str]:
    """Names and addresses as they stand in a Host header."""
    bracketed = (f"[{host}]" if ":" in host and not host.startswith("[") else host for host in hosts)
    return frozenset(host.lower().rstrip(".") for host in bracketed)


def host_of(scope: Scope) -> tuple[str, str]:
    """Name and port of a request's Host header, in lower case; empty where an HTTP/1.0 request has none.

    Raises MalformedInput for more than one and for none of HTTP/1.1 (RFC 9112 3.2), and for one that is no host.
    """
    given = [value for name, value in scope["headers"] if name == b"host"]
    if not given and scope.get("http_version") == "1.0":
        return "", ""
    found = _HOST.fullmatch(given[0].decode("latin-1")) if len(given) == 1 else None
    if found is None:
        raise MalformedInput("A request needs one Host header, with a name and at most a port.", code="bad_host")
    return found[1].lower().rstrip("."), found[2] or ""


def check_host(scope: Scope, names: frozenset[str]) -> None:
    """Raises Misdirected where a request is for another host, MalformedInput as `host_of`."""
    if host_of(scope)[0] not in names:
        raise Misdirected("The service does not answer to the name in the Host header; CXR_HTTP__HOSTS lists more.")


def check_origin(scope: Scope, names: frozenset[str], origins: frozenset[str] = frozenset()) -> None:
    """Refuse what a page of another site makes a browser send; pages of `names`, from any port, and of `origins` may.

    Browsers tell by Sec-Fetch-Site (W3C Fetch Metadata), which no page can set, and by Origin. Other clients send
    neither. Raises ForeignOrigin.
    """
    if scope["method"] in _READING:
        return
    site, origin = header_of(scope, b"sec-fetch-site").lower(), header_of(scope, b"origin").lower()
    if origin in origins:
        return
    if site == "cross-site" or (origin and not _is_ours(origin, scope, site, names)):
        raise ForeignOrigin("A page of another site may not send this.")


def _is_ours(origin: str, scope: Scope, site: str, names: frozenset[str]) -> bool:
    try:
        parts = urlsplit(origin)
        name, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return False
    name = f"[{name}]" if ":" in name else name
    if parts.scheme not in ("http", "https") or not name:
        return False
    # A proxy may have put its own name for us into Host; the browser still knows what it asked for.
    if site == "same-origin" or name in names:
        return True
    host, given = host_of(scope)
    usual = 443 if parts.scheme == "https" else 80
    return name == host and (port or usual) == (int(given) if given else usual)
