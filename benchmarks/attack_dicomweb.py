"""Attacks by HTTP: STOW-RS, WADO-RS metadata, reports as documents."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from pydicom.dataset import Dataset

from benchmarks import hostile
from benchmarks.attack_target import Attack, Prepare, Send, Target


def _by_stow(make: Callable[[], bytes]) -> Prepare:
    def prepare() -> Send:
        data = make()
        return lambda target: target.stow(data)

    return prepare


def _while_good_ones_come(make: Callable[[], bytes]) -> Prepare:
    def prepare() -> Send:
        data = make()

        def send(target: Target) -> str:
            answers: list[str] = []
            thread = threading.Thread(target=lambda: answers.append(target.stow(data)))
            thread.start()
            slowest, other = 0.0, Target(target.url, target.dimse)
            while thread.is_alive():
                started = time.perf_counter()
                other.stow(hostile.with_elements(0))
                slowest = max(slowest, time.perf_counter() - started)
            return f"{answers[0]}; good ones meanwhile {slowest:.1f} s at most"

        return send

    return prepare


def _with_metadata(make: Callable[[Dataset], bytes]) -> Prepare:
    def prepare() -> Send:
        header = hostile.radiograph_header()
        data = make(header)

        def send(target: Target) -> str:
            stored = target.stow(data)
            found = target.client.get(f"{target.url}/dicom-web/studies/{header.StudyInstanceUID}/metadata")
            return f"{stored}; metadata {found.status_code}, {len(found.content) / 1e6:.1f} MB"

        return send

    return prepare


def _by_report(make: Callable[[], bytes]) -> Prepare:
    def prepare() -> Send:
        data = make()

        def send(target: Target) -> str:
            target.sent = len(data)
            accept = {"Accept": "application/dicom"}
            response = target.client.post(f"{target.url}/v1/reports", files={"image": data}, headers=accept)
            return f"{response.status_code} {response.json().get('code')}"

        return send

    return prepare


def _tiny_parts(part: bytes) -> Send:
    def body() -> Iterator[bytes]:
        block = (b"\r\n--b\r\n\r\n" + part) * 10_000
        yield b"--b\r\n\r\n"
        for _ in range(10):
            yield block
        yield b"\r\n--b--\r\n"

    return lambda target: target.post(body())


def _long_part_header(target: Target) -> str:
    return target.post(iter((b"--b\r\nX-Long: ", bytes(10_000_000), b"\r\n\r\nx\r\n--b--\r\n")))


_DISGUISES: dict[hostile.Disguise, str] = {
    "plain": "as everybody writes it",
    "far": "transfer syntax behind byte 4,096",
    "straddle": "transfer syntax across byte 4,096",
    "nopreamble": "without preamble",
    "lie": "group length 4 GB",
    "nolength": "without group length",
}


def _inflating(header: Dataset) -> bytes:
    return hostile.deflated_bomb(200, "far", header)


def _many(header: Dataset) -> bytes:
    return hostile.with_elements(99_000, header=header)


def _many_long(header: Dataset) -> bytes:
    return hostile.with_elements(90_000, bytes(4_096), header=header)


DICOMWEB_ATTACKS: tuple[Attack, ...] = (
    *(
        Attack(f"STOW: deflated, 1.5 GB once inflated, {words}", _by_stow(partial(hostile.deflated_bomb, 1_500, name)))
        for name, words in _DISGUISES.items()
    ),
    Attack("report as DICOM SR: the same", _by_report(partial(hostile.deflated_bomb, 1_500))),
    Attack("STOW: deflated, 200 MB once inflated, and its metadata", _with_metadata(_inflating)),
    Attack("STOW: 1,000,000 empty elements", _while_good_ones_come(partial(hostile.with_elements, 1_000_000))),
    Attack("STOW: 99,000 elements, and their metadata", _with_metadata(_many)),
    Attack("STOW: 90,000 elements of 4 kB, and their metadata", _with_metadata(_many_long)),
    Attack("STOW: sequences 100,000 deep", _by_stow(partial(hostile.nested, 100_000))),
    Attack("STOW: sequences 3,000 deep, of defined lengths", _by_stow(partial(hostile.nested, 3_000, defined=True))),
    Attack("STOW: a private value of 400 MB", _by_stow(partial(hostile.with_value, 400_000_000))),
    Attack("STOW: 100,000 empty parts", lambda: _tiny_parts(b"")),
    Attack("STOW: 100,000 parts of 20 bytes", lambda: _tiny_parts(b"x" * 20)),
    Attack("STOW: a part's header of 10 MB", lambda: _long_part_header),
)
