"""Who holds the DIMSE port's places: no peer all of them, and none for doing nothing."""

import ssl
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.settings import DimseSettings
from benchmarks.hostile import encoded, radiograph_header
from benchmarks.peer import (
    ACCEPTED,
    COMMAND_LAST,
    CR,
    DATA,
    DATA_LAST,
    REJECTED,
    STORE,
    VERIFICATION,
    Peer,
    command,
    fragment,
    peer,
    request,
)
from tests.support.connections import FAILED_CONNECTIONS
from tests.support.intake import FakeIntake, listening

pytestmark = FAILED_CONNECTIONS


def can_associate(port: int, calling: bytes = b"OTHER", source: str = "127.0.0.1") -> bool:
    with peer(port, source) as other:
        return other.associate(calling, VERIFICATION) == ACCEPTED and other.echo() == 4


def test_the_shares_are_parts_of_all_places() -> None:
    for places, ae, address in ((10, 5, 8), (1, 1, 1), (2, 1, 1), (40, 20, 32)):
        settings = DimseSettings(max_associations=places)
        assert (settings.share_of_an_ae, settings.share_of_an_address) == (ae, address)
    assert DimseSettings(max_associations_per_ae=3).share_of_an_ae == 3


def test_one_calling_title_does_not_take_every_place(intake: FakeIntake) -> None:
    with listening(intake) as scp, ExitStack() as stack:
        answers = []
        for _ in range(10):
            held = stack.enter_context(peer(scp.port))
            answers.append(held.associate(b"GREEDY"))
        assert answers == [ACCEPTED] * 5 + [REJECTED] * 5
        assert can_associate(scp.port)


def test_one_address_does_not_take_every_place_under_many_titles(intake: FakeIntake) -> None:
    with listening(intake) as scp, ExitStack() as stack:
        answers = [stack.enter_context(peer(scp.port)).associate(b"AE%d" % number) for number in range(12)]
        assert answers.count(ACCEPTED) == 8
        assert can_associate(scp.port, source="127.0.0.2")


def test_a_place_is_free_again_once_its_association_is_over(intake: FakeIntake) -> None:
    with listening(intake, max_associations=1) as scp:
        for _ in range(5):
            with peer(scp.port) as one:
                assert one.associate() == ACCEPTED
            until = time.monotonic() + 5.0
            while not can_associate(scp.port):
                assert time.monotonic() < until
                time.sleep(0.05)
            time.sleep(0.2)


@pytest.mark.parametrize("count", [11, 60])
def test_silent_connections_take_no_place(intake: FakeIntake, count: int) -> None:
    with listening(intake) as scp, ExitStack() as stack:
        for number in range(count):
            held = stack.enter_context(peer(scp.port))
            if number % 2:
                held.send(request()[:40])
        assert can_associate(scp.port)
        assert can_associate(scp.port, source="127.0.0.2")


@pytest.mark.parametrize("beginning", [b"", b"\x01", request()[:6], request()[:40], b"GET / HTTP/1.1\r\n\r\n"])
def test_a_connection_that_asks_for_no_association_ends(intake: FakeIntake, beginning: bytes) -> None:
    with listening(intake, artim_seconds=0.5) as scp, peer(scp.port) as silent:
        silent.send(beginning)
        assert silent.ended_within(5.0)


def test_one_that_drips_bytes_ends_as_well(intake: FakeIntake) -> None:
    with listening(intake, artim_seconds=0.5) as scp, peer(scp.port) as slow:
        assert slow.drip([bytes([byte]) for byte in request()], 0.05)


def test_an_association_that_only_echoes_ends(intake: FakeIntake) -> None:
    with listening(intake, idle_seconds=1.0) as scp, peer(scp.port) as idle:
        assert idle.associate(abstract=VERIFICATION) == ACCEPTED
        started = time.monotonic()
        while idle.echo() == 4:
            assert time.monotonic() - started < 5.0
            time.sleep(0.1)
        assert time.monotonic() - started > 0.8


@pytest.mark.parametrize("begun", [b"", fragment(COMMAND_LAST, STORE), fragment(DATA, bytes(5_000))[:3_000]])
def test_one_that_stops_in_the_middle_of_a_data_set_ends(intake: FakeIntake, begun: bytes) -> None:
    with listening(intake, idle_seconds=0.5) as scp, peer(scp.port) as sender:
        assert sender.associate() == ACCEPTED
        sender.send(begun)
        assert sender.ended_within(5.0)


def test_one_that_drips_a_data_set_ends_and_leaves_nothing(intake: FakeIntake) -> None:
    with listening(intake, idle_seconds=0.5) as scp, peer(scp.port) as sender:
        assert sender.associate() == ACCEPTED
        sender.send(fragment(COMMAND_LAST, STORE))
        assert sender.drip([fragment(DATA, b"\0")] * 100, 0.1)
    time.sleep(0.2)
    assert not list(intake.folder.iterdir())


def test_an_association_that_stores_goes_on(intake: FakeIntake) -> None:
    with listening(intake, idle_seconds=1.0) as scp, peer(scp.port) as sender:
        assert sender.associate() == ACCEPTED
        for _ in range(5):
            header = radiograph_header()
            named = command(1, CR, str(header.SOPInstanceUID).encode(), data_set=True)
            sender.send(fragment(COMMAND_LAST, named) + fragment(DATA_LAST, encoded(header, implicit=True)))
            assert sender.answer()[0] == 4
            time.sleep(0.5)
    assert len(intake.kept) == 5


def test_a_silent_tls_peer_holds_no_other_up(intake: FakeIntake, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    with listening(intake, tls_certificate=certificate, tls_key=key, artim_seconds=1.0) as scp, ExitStack() as stack:
        silent = [stack.enter_context(peer(scp.port)) for _ in range(5)]
        other = Peer(scp.port)
        other.socket = context.wrap_socket(other.socket)
        assert other.associate(abstract=VERIFICATION) == ACCEPTED
        assert other.echo() == 4
        other.close()
        assert all(one.ended_within(5.0) for one in silent)
