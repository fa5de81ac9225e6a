"""Checks of the settings before the service starts that types cannot make: files, keys, folders."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from limits.errors import ConfigurationError
from limits.storage import storage_from_string

from app.errors import CxrError
from app.security.audit.syslog import tls_of
from app.security.keys import Keys
from app.settings import LOOPBACK, Settings
from app.store import sqlite_compat


def problems(settings: Settings) -> list[str]:
    """One line a problem, each with the setting that it is about; empty where the service can be started."""
    return [
        *_files(settings),
        *_access(settings),
        *filter(None, [settings.dimse_refusal]),
        *_audit(settings),
        *_state(settings),
        *_database(settings),
        *_limits(settings),
        *_port(settings),
    ]


def _files(settings: Settings) -> Iterator[str]:
    if not (settings.bundle / "bundle.json").is_file():
        yield f"CXR_BUNDLE: {settings.bundle} is no bundle: it has no bundle.json"
    given: dict[str, Path | None] = {
        "CXR_TLS__CERTIFICATE": settings.tls.certificate,
        "CXR_TLS__KEY": settings.tls.key,
        "CXR_DIMSE__TLS_CERTIFICATE": settings.dimse.tls_certificate,
        "CXR_DIMSE__TLS_KEY": settings.dimse.tls_key,
        "CXR_DIMSE__TLS_CLIENT_CA": settings.dimse.tls_client_ca,
    }
    given |= {f"CXR_DESTINATIONS, {one.name}, ca_file": one.ca_file for one in settings.destinations}
    for name, path in given.items():
        if path is not None and not os.access(path, os.R_OK):
            yield f"{name}: {path} cannot be read"


def _access(settings: Settings) -> Iterator[str]:
    auth = settings.auth
    try:
        keys = Keys(settings.keys_file)
        empty = not keys.list()
    except CxrError as error:
        yield f"CXR_AUTH__KEYS_FILE: {settings.keys_file}: {error.detail}"
        return
    if auth.mode == "off" or auth.oidc_issuer is not None or not empty:
        return
    if auth.mode == "required":
        yield "CXR_AUTH__MODE: keys are required and there is none: make one with `cxr keys create NAME --scope infer`"
    elif settings.host not in LOOPBACK:
        yield (
            f"CXR_HOST: {settings.host} is open to a network and there is no API key: make one with "
            "`cxr keys create NAME --scope infer`, or set CXR_AUTH__MODE=off"
        )


def _audit(settings: Settings) -> Iterator[str]:
    if settings.audit.syslog_host is not None:
        try:
            tls_of(settings.audit)
        except CxrError as error:
            yield error.detail


def _state(settings: Settings) -> Iterator[str]:
    folder = settings.state_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        yield f"CXR_STATE_DIR: {folder} cannot be made"
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield f"CXR_STATE_DIR: {folder} cannot be written to"


def _limits(settings: Settings) -> Iterator[str]:
    try:
        storage_from_string(settings.limits.storage)
    except (ConfigurationError, ValueError) as error:
        yield f"CXR_LIMITS__STORAGE: it cannot be used: {error}"


def _port(settings: Settings) -> Iterator[str]:
    """Found before the model's libraries are imported, which takes half a minute."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with contextlib.closing(socket.socket(family)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            yield f"CXR_HOST, CXR_PORT: {settings.host}:{settings.port} cannot be listened on: {error.strerror}"


def _database(settings: Settings) -> Iterator[str]:
    configured = settings.database_url
    sqlite = configured is None or configured.get_secret_value().startswith("sqlite")
    if sqlite and (refused := sqlite_compat.refusal()):
        yield f"CXR_DATABASE_URL: {refused}"
