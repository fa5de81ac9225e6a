"""Backups: the database by its own online backup, the files that it names, and what else the state folder keeps.

The database is copied first. Files are written before the database names them and never changed after it does, so every
file that the copy names is there, but for those that retention removes meanwhile.
"""

import contextlib
import datetime
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, ValidationError

from app.dicom.digest import has_digest
from app.errors import CxrError
from app.store.database import opened
from app.store.recording import held_files
from app.store.snapshot import FILES, HeldFile, copy_database, refuse_full, restore_database
from app.store.spool import Spool, sync_file

MANIFEST = "backup.json"
_SPOOL = "spool"
_CHUNK = 1_000_000


class BackupManifest(BaseModel):
    """What a backup holds: SHA-256 by path, and the held files that were missing or damaged when it was made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    made: datetime.datetime
    release: str
    database: Literal["sqlite", "postgresql"]
    state_folder: str | None
    files: dict[str, str]
    missing: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()


def back_up(
    engine: sa.Engine, spool: Spool, others: Iterable[Path], state_dir: Path, folder: Path, release: str
) -> BackupManifest:
    """Back up into a new folder, while the service runs or not. `others` are files and folders in `state_dir`.

    The folder appears once everything is in it and synced. Raises CxrError, OSError.
    """
    if folder.exists():
        raise CxrError(f"{folder} is there already; a backup goes into a folder of its own.", code="backup_refused")
    if folder.is_relative_to(state_dir):
        raise CxrError(f"{folder} lies in the state folder; a backup goes elsewhere.", code="backup_refused")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _fresh(folder.with_name(f".{folder.name}.partial")) as fresh:
        return _back_up(engine, spool, others, state_dir, fresh, folder, release)


@contextlib.contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    """An empty folder, without what a backup that was killed has left in it. Raises CxrError where one is under way."""
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield folder
    except BlockingIOError:
        raise CxrError("Another process makes this backup at the moment.", code="backup_refused") from None
    finally:
        os.close(descriptor)


def _back_up(
    engine: sa.Engine, spool: Spool, others: Iterable[Path], state_dir: Path, fresh: Path, folder: Path, release: str
) -> BackupManifest:
    try:
        kind: Literal["sqlite", "postgresql"] = "sqlite" if engine.dialect.name == "sqlite" else "postgresql"
        copied = fresh / FILES[kind]
        snapshot = copy_database(engine, copied)
        if None not in (snapshot.identity, spool.identity) and snapshot.identity != spool.identity:
            raise CxrError("The database belongs to another state folder; see CXR_DATABASE_URL.", code="backup_refused")
        files = {copied.name: _sha256(copied)}
        missing, damaged = [], []
        (fresh / _SPOOL).mkdir()
        for held in snapshot.held:
            target = fresh / _SPOOL / held.file
            try:
                files[f"{_SPOOL}/{held.file}"] = _copy(spool.path(held.file), target)
            except (FileNotFoundError, IsADirectoryError):
                missing.append(held.file)
                continue
            if not _is_whole(target, held):
                damaged.append(held.file)
        for path in (*_files_of(others), *(spool.unknown / name for name in sorted(spool.unknown_names()))):
            name = path.relative_to(state_dir)
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            files[str(name)] = _copy(path, fresh / name)
        with engine.execution_options(read_only=True).connect() as connection:
            still = held_files(connection)
        manifest = BackupManifest(
            made=datetime.datetime.now(datetime.UTC),
            release=release,
            database=kind,
            state_folder=snapshot.identity,
            files=files,
            missing=tuple(name for name in missing if name in still),  # retention has removed the others meanwhile
            damaged=tuple(damaged),
        )
        (fresh / MANIFEST).write_text(manifest.model_dump_json(indent=1))
        _sync_all(fresh)
        fresh.rename(folder)
        sync_file(folder.parent)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return manifest


def restore(folder: Path, state_dir: Path, url: str) -> BackupManifest:
    """Restore a backup into an empty state folder and an empty database, once all of it was found to be whole.

    What is returned names as `missing` what the database holds and the spool does not. Raises CxrError, OSError.
    """
    manifest = _manifest(folder)
    kind = "postgresql" if url.startswith("postgresql") else "sqlite"
    if kind != manifest.database:
        raise CxrError(
            f"The backup is of {manifest.database}, and CXR_DATABASE_URL names {kind}.", code="restore_refused"
        )
    there = sorted(path.name for path in state_dir.iterdir()) if state_dir.is_dir() else []
    there = [name for name in there if name != "lost+found"]  # of a fresh ext4 volume
    if there:
        raise CxrError(
            f"{state_dir} is not empty ({', '.join(there[:3])}); a restore overwrites nothing.", code="restore_refused"
        )
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file() or _sha256(path) != expected:
            raise CxrError(f"The backup is damaged: {name} is not what was written.", code="backup_damaged")
    refuse_full(url)
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    # First of all: a start on what a restore that broke off has left is refused, as the database is missing.
    if manifest.state_folder is not None:
        Spool(state_dir / _SPOOL, 0).identify(manifest.state_folder)
    database = FILES[manifest.database]
    for name in manifest.files:
        if name != database:
            target = state_dir / name
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _copy(folder / name, target)
    # Last, for the same reason.
    restore_database(folder / database, url)
    _sync_all(state_dir)
    with opened(url) as engine, engine.connect() as connection:
        gone = sorted(name for name in held_files(connection) if not (state_dir / _SPOOL / name).is_file())
    return manifest.model_copy(update={"missing": tuple(gone)})


def _manifest(folder: Path) -> BackupManifest:
    try:
        manifest = BackupManifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CxrError(f"{folder} is no backup: it has no {MANIFEST}.", code="backup_damaged") from error
    except ValidationError as error:
        raise CxrError(f"{folder / MANIFEST} cannot be read by this release.", code="backup_damaged") from error
    outside = [name for name in manifest.files if Path(name).is_absolute() or ".." in Path(name).parts]
    if outside or FILES[manifest.database] not in manifest.files:
        raise CxrError(f"{folder / MANIFEST} is not what `cxr backup` writes.", code="backup_damaged")
    return manifest


def _files_of(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(inner for inner in path.rglob("*") if inner.is_file())
        elif path.is_file():
            yield path


def _is_whole(copy: Path, held: HeldFile) -> bool:
    return not held.sha256 or has_digest(copy, held.sha256, held.transfer_syntax_uid)


def _copy(source: Path, target: Path) -> str:
    """Copy a file with the permissions of its owner alone; returns the SHA-256 of what was written."""
    digest = hashlib.sha256()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as written, source.open("rb") as read:
        while chunk := read.read(_CHUNK):
            digest.update(chunk)
            written.write(chunk)
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_all(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file() or path.is_dir():
            sync_file(path)
    sync_file(folder)
