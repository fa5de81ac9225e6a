"""Headers of strangers' DICOM files: walked here; inflated, and made metadata of, in confined processes."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom.dataset import Dataset

from app.dicom.completeness import Pixels
from app.dicom.fragments import Truncated
from app.dicom.header import Excerpt, Header, NotStorable, Purpose, excerpt_of, header_of, source_of
from app.dicom.opening import Opening, read_opening
from app.dicom.status import FailureReason
from app.dicom.uids import is_valid_uid
from app.dicom.walk import OverLimit, Read
from app.errors import DecodersDead, InputError, Overloaded, TooLarge, Unavailable
from app.imaging import wire
from app.imaging.likeness import Facts, Meaning, meaning_of
from app.imaging.sandbox import Sandbox
from app.settings import ImagingSettings

_SHORTEST = 16
_KINDS = {"intake": wire.Kind.INTAKE, "source": wire.Kind.SOURCE}


class Headers:
    """Reads headers. Its processes start with the first file that needs one, and are none of those for images."""

    def __init__(self, limits: ImagingSettings) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._pool: Sandbox | None = None

    def opening(self, file: Path) -> Opening:
        """How a received file begins. Raises NotStorable, OSError."""
        with _opened(file) as (read, _), _refusing():
            if len(read(0, _SHORTEST)) < _SHORTEST:
                raise NotStorable(FailureReason.CANNOT_UNDERSTAND, "The part is empty or far too short.")
            return read_opening(read, self._limits)

    def read(self, file: Path, opening: Opening) -> Header:
        """The header of a received file. Blocks: for seconds where it is deflated. Raises NotStorable, OSError."""
        return header_of(opening, self._excerpt(file, opening, "intake"), self._limits.lenient_uids)

    def takes_uid(self, value: str) -> bool:
        """Whether a text is a UID that is taken."""
        return is_valid_uid(value, self._limits.lenient_uids)

    def source(self, file: Path | bytes) -> Dataset:
        """The header of an image that documents refer to, without long values. Blocks. Raises NotStorable, OSError."""
        if isinstance(file, bytes):
            with _refusing():
                opening = read_opening(_of_bytes(file), self._limits)
        else:
            opening = self.opening(file)
        return source_of(opening, self._excerpt(file, opening, "source"))

    def meaning(self, file: Path) -> Meaning | None:
        """What an instance means, None where that cannot be told. Blocks. Raises NotStorable, OSError."""
        with _opened(file) as (_, descriptor):
            try:
                found, means = self._processes().ask(wire.Kind.MEANING, b"", descriptor).result()
            except InputError:
                return None
            except (Overloaded, Unavailable, DecodersDead) as error:
                raise NotStorable(
                    FailureReason.OUT_OF_RESOURCES, "It cannot be compared now; send it again."
                ) from error
        return meaning_of(found, means) if isinstance(found, Facts) else None

    async def metadata(self, file: Path, uri: str) -> bytes:
        """An instance in DICOM JSON, with `uri` for its bulk data.

        Raises InputError, Overloaded, Unavailable, DecodersDead, OSError.
        """
        return _bytes_of(await self._processes().ask_of_file(wire.Kind.METADATA, file, uri.encode()))

    @property
    def processes(self) -> list[int]:
        """The processes that wait for work."""
        return [] if self._pool is None else self._pool.pids

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            if self._pool is not None:
                self._pool.close()

    def _excerpt(self, file: Path | bytes, opening: Opening, purpose: Purpose) -> Excerpt:
        with _refusing():
            if isinstance(file, bytes):
                if not opening.deflated:
                    return excerpt_of(_of_bytes(file), opening.start, opening, purpose, self._limits)
                return _excerpt_of(self._processes().ask(_KINDS[purpose], file).result())
            with _opened(file) as (read, descriptor):
                if not opening.deflated:
                    return excerpt_of(read, opening.start, opening, purpose, self._limits)
                return _excerpt_of(self._processes().ask(_KINDS[purpose], b"", descriptor).result())

    def _processes(self) -> Sandbox:
        with self._lock:
            if self._pool is None or not self._pool.alive:
                limits = self._limits.model_copy(
                    update={"workers": self._limits.header_workers, "timeout_seconds": self._limits.header_seconds}
                )
                self._pool = Sandbox(limits, 0)
                self._pool.open()
            return self._pool


def _of_bytes(data: bytes) -> Read:
    return lambda offset, size: data[offset : offset + size]


@contextmanager
def _opened(file: Path) -> Iterator[tuple[Read, int]]:
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield lambda offset, size: os.pread(descriptor, size, offset), descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what a walk or a process raises into why the instance is not stored."""
    try:
        yield
    except OverLimit as over:
        raise NotStorable(FailureReason.OVER_LIMIT, over.detail) from over
    except TooLarge as over:
        raise NotStorable(FailureReason.OVER_LIMIT, over.detail) from over
    except Truncated as error:
        raise NotStorable(FailureReason.CANNOT_UNDERSTAND, error.detail) from error
    except InputError as error:
        # Time or memory of the process was not enough, or the file is damaged.
        spent = error.code in ("decode_timeout", "decoder_failed")
        reason = FailureReason.OVER_LIMIT if spent else FailureReason.CANNOT_UNDERSTAND
        detail = error.detail if error.code == "truncated" else "The deflated data set could not be read."
        raise NotStorable(reason, detail) from error
    except (Overloaded, Unavailable, DecodersDead) as error:
        detail = "Too many deflated instances wait; send it again."
        raise NotStorable(FailureReason.OUT_OF_RESOURCES, detail) from error


def _bytes_of(answer: tuple[wire.Reply, bytes]) -> bytes:
    body, found = answer
    if not isinstance(body, wire.BytesReply):
        raise Unavailable("The header could not be read; send it again.", code="decoder_failed")
    return found


def _excerpt_of(answer: tuple[wire.Reply, bytes]) -> Excerpt:
    data, reply = _bytes_of(answer), answer[0]
    assert isinstance(reply, wire.BytesReply)
    looked = reply.rubbish is not None
    return Excerpt(data, Pixels(reply.pixel_bytes, reply.fragments, bool(reply.rubbish)) if looked else None)
