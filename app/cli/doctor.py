"""`cxr doctor`: checks of the environment before the service is started in it."""

import asyncio
import os
import platform
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from app.cli.console import console
from app.cli.options import BundleOption, ConfigOption, StateOption, settings_of
from app.cli.preflight import problems
from app.errors import CxrError, DeliveryFailed
from app.security.keys import Keys
from app.settings import LOOPBACK, Settings

_MEMORY_GIB = 6.0
_DISK_GIB = 5.0
_GIB = 1 << 30


class Mark(StrEnum):
    """What a finding means for the service."""

    OK = "ok"
    NOTE = "note"
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    what: str
    mark: Mark
    detail: str


_COLOURS = {Mark.OK: "green", Mark.NOTE: "yellow", Mark.FAULT: "red"}


def doctor(bundle: BundleOption = None, state_dir: StateOption = None, config: ConfigOption = None) -> None:
    """Check what the service would meet here: GPU, disk, bundle, ports, database, keys, destinations."""
    found = [*examine(settings_of(config, bundle=bundle, state_dir=state_dir))]
    table = Table("what", "", "found", title="cxr doctor", title_justify="left")
    for finding in found:
        table.add_row(finding.what, f"[{_COLOURS[finding.mark]}]{finding.mark.value}[/]", escape(finding.detail))
    console.print(table)
    raise typer.Exit(int(any(finding.mark is Mark.FAULT for finding in found)))


def examine(settings: Settings) -> Iterator[Finding]:
    """All checks, in the order in which a start would meet them."""
    for problem in problems(settings):
        yield Finding("settings", Mark.FAULT, problem)
    yield from _machine(settings)
    yield from _bundle(settings.bundle)
    yield _decoders(settings)
    yield _port("port", settings.host, settings.port)
    yield from _open_doors(settings)
    if settings.dimse.port is not None:
        yield _port("DIMSE port", settings.dimse.host or settings.host, settings.dimse.port)
    yield _database(settings)
    yield _keys(settings)
    yield from _destinations(settings)


# Libraries of torch, the bundle, the database and DICOM are imported in the checks that use them: they take seconds,
# and `cxr --help` needs none.
def _machine(settings: Settings) -> Iterator[Finding]:
    yield Finding("Python", Mark.OK, f"{platform.python_version()} on {platform.machine()}")
    import torch

    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(index)
            name = torch.cuda.get_device_name(index)
            yield Finding(f"GPU {index}", Mark.OK, f"{name}, {free / _GIB:.0f} of {total / _GIB:.0f} GiB free")
        engines, split = settings.engine.data_parallel_size, settings.engine.tensor_parallel_size
        if (there := torch.cuda.device_count()) < engines * split:
            wanted = f"CXR_ENGINE__DATA_PARALLEL_SIZE={engines} times CXR_ENGINE__TENSOR_PARALLEL_SIZE={split}"
            yield Finding("GPUs", Mark.FAULT, f"{there}, and {wanted} are {engines * split}")
    else:
        capability = torch.backends.cpu.get_cpu_capability()
        able = capability.startswith("AVX")
        detail = f"none; the CPU has {capability}, {os.cpu_count()} cores"
        yield Finding("GPU", Mark.NOTE if able else Mark.FAULT, detail)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") / _GIB
    yield Finding("memory", Mark.OK if memory >= _MEMORY_GIB else Mark.NOTE, f"{memory:.1f} GiB free")
    if settings.state_dir.exists():
        free_disk = shutil.disk_usage(settings.state_dir).free / _GIB
        reserve = settings.limits.min_free_mb / 1024
        mark = Mark.FAULT if free_disk < reserve else Mark.OK if free_disk >= _DISK_GIB else Mark.NOTE
        yield Finding("disk", mark, f"{free_disk:.1f} GiB free for {settings.state_dir}")
        yield _privacy(settings.state_dir)


def _privacy(state_dir: Path) -> Finding:
    found = state_dir.stat()
    if not found.st_mode & 0o077:
        return Finding("state folder", Mark.OK, "closed to other users")
    if found.st_uid == os.geteuid():
        return Finding("state folder", Mark.OK, "open to other users; the next start closes it")
    return Finding("state folder", Mark.NOTE, "another user owns it and others may read it: close it, chmod 700")


def _bundle(path: Path) -> Iterator[Finding]:
    from models.bundle import BundleError, load

    try:
        manifest = load(path).manifest
    except (BundleError, OSError) as error:
        yield Finding("bundle", Mark.FAULT, str(error))
    else:
        yield Finding("bundle", Mark.OK, f"{manifest.label}, every SHA-256 as listed")


def _decoders(settings: Settings) -> Finding:
    from app.imaging.decoder_handle import DecoderGone, DecoderHandle

    try:
        decoder = DecoderHandle(settings.imaging)
    except (OSError, DecoderGone):
        return Finding("decoders", Mark.FAULT, "no process that decodes images can be started")
    missing = decoder.missing
    decoder.kill()
    if missing:
        return Finding(
            "decoders", Mark.NOTE, f"this kernel lacks {', '.join(missing)}: hostile images are confined less"
        )
    return Finding("decoders", Mark.OK, "confined by seccomp and Landlock")


def _port(what: str, host: str, port: int) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return Finding(what, Mark.FAULT, f"{host}:{port} cannot be listened on: {error.strerror}")
    return Finding(what, Mark.OK, f"{host}:{port} is free")


def _open_doors(settings: Settings) -> Iterator[Finding]:
    dimse = settings.dimse
    if dimse.open_to_all:
        yield Finding("DIMSE access", Mark.NOTE, "any AE is let in, as CXR_DIMSE__OPEN_TO_ALL says")
    for doubt in settings.webhook.doubts:
        yield Finding("webhook", Mark.NOTE, doubt)


def _database(settings: Settings) -> Finding:
    from app.store.database import database_url, opened
    from app.store.migrations import check, pending

    if settings.database_url is None and not (settings.state_dir / "cxr.sqlite").exists():
        return Finding("database", Mark.OK, "sqlite, made by the first start")
    try:
        with (
            opened(database_url(settings.database_url, settings.state_dir)) as engine,
            engine.connect() as connection,
        ):
            kind = engine.dialect.name
            # The service migrates when it starts; this changes nothing.
            waiting = pending(connection)
            if not waiting:
                check(connection)
    except CxrError as error:
        return Finding("database", Mark.FAULT, error.detail)
    if waiting:
        names = ", ".join(migration.name for migration in waiting)
        return Finding("database", Mark.NOTE, f"{kind} answers; the next start migrates its schema ({names})")
    return Finding("database", Mark.OK, f"{kind} answers")


def _keys(settings: Settings) -> Finding:
    try:
        keys = Keys(settings.keys_file)
        count = len(keys.list())
    except CxrError as error:
        return Finding("API keys", Mark.FAULT, error.detail)
    oidc = ", and bearer tokens by OIDC" if settings.auth.oidc_issuer else ""
    if count or oidc:
        return Finding("API keys", Mark.OK, f"{count}{oidc}")
    off = settings.auth.mode == "off" or (settings.host in LOOPBACK and not keys.seen)
    return Finding("API keys", Mark.NOTE, "none: everybody who reaches the port is let in" if off else "none")


def _destinations(settings: Settings) -> Iterator[Finding]:
    from app.delivery.destinations import destinations

    for destination in destinations(settings):
        yield _checked(f"destination {destination.name}", lambda one=destination: asyncio.run(one.check()))  # type: ignore[misc]


def _checked(what: str, check: Callable[[], None]) -> Finding:
    try:
        check()
    except DeliveryFailed as error:
        return Finding(what, Mark.FAULT, f"{error.detail} ({error.code})")
    return Finding(what, Mark.OK, "answers")
