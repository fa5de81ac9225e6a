"""Events reach a repository over TLS: one that is there, breaks, comes back, is another, or never answers."""

import base64
import re
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from app.errors import CxrError
from app.security.audit import AuditLog, Kind
from app.security.audit.export import AuditExport
from app.security.audit.message import Origin
from app.security.audit.syslog import frames_of, tls_of
from tests.support.audit import PSEUDONYMS, an_event
from tests.support.certificates import Authority
from tests.support.repository import Repository, sending_to

pytestmark = pytest.mark.usefixtures("short_waits")
ORIGIN = Origin("node-1", "host.example", "LLMCXR", "site")


def export_to(port: int, authority: Authority, most_held: int = 1000, **changes: Any) -> AuditExport:
    chosen = sending_to(port, authority, **changes)
    return AuditExport(chosen, tls_of(chosen), ORIGIN, most_held)


def ids(count: int, first: int = 0) -> list[str]:
    return [base64.b64encode(str(number).encode()).decode() for number in range(first, first + count)]


def wait_for(found: Any, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not found() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert found()


def test_events_arrive_in_their_order_and_closing_waits_for_them(repository: Repository, authority: Authority) -> None:
    export = export_to(repository.port, authority)
    export([an_event(number) for number in range(300)])
    export.close()
    wait_for(lambda: len(repository.messages) == 300)
    assert repository.request_ids() == ids(300)


def test_the_header_is_that_of_rfc_5424_with_its_length_before_it() -> None:
    event = an_event(1)
    (frame,) = frames_of(event, Origin("node-1", "höst name", "", "site"))
    length, _, message = frame.partition(b" ")
    assert int(length) == len(message)
    header, mark, document = message.partition(b"\xef\xbb\xbf")
    assert mark
    assert document.startswith(b"<?xml ")
    assert re.fullmatch(rb"<85>1 \S+ h_st_name llm-cxr \d+ DICOM\+RFC3881 - ", header)
    assert header.split(b" ")[1].decode() == event["time"]


def test_what_a_broken_connection_had_not_read_is_sent_again(repository: Repository, authority: Authority) -> None:
    repository.break_after = 40
    export = export_to(repository.port, authority)
    for number in range(200):
        export([an_event(number)])
        time.sleep(0.001)
    wait_for(lambda: set(repository.request_ids()) == set(ids(200)))
    export.close()


def test_a_repository_that_goes_away_and_comes_back_misses_nothing(
    repository: Repository, authority: Authority
) -> None:
    export = export_to(repository.port, authority)
    for round_ in range(3):
        export([an_event(number) for number in range(round_ * 50, round_ * 50 + 50)])
        if round_ < 2:
            time.sleep(0.1)
            repository.stop()
            export([an_event(1000 + round_)])
            time.sleep(0.3)
            repository.start()
    expected = {*ids(150), *ids(2, first=1000)}
    wait_for(lambda: set(repository.request_ids()) == expected)
    export.close()


def test_what_waits_while_it_is_away_is_bounded_and_told_when_it_is_back(
    repository: Repository, authority: Authority
) -> None:
    repository.stop()
    export = export_to(repository.port, authority, most_held=10)
    told: list[int] = []
    export.lost = told.append
    export([an_event(0)])
    time.sleep(0.3)  # it is under way
    export([an_event(number) for number in range(1, 31)])
    repository.start()
    wait_for(lambda: told)
    wait_for(lambda: len(repository.messages) == 11)
    assert told == [20]
    export.close()


def test_a_repository_of_another_authority_gets_nothing(
    repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = export_to(repository.port, Authority(tmp_path, "another"))
    export([an_event(1)])
    wait_for(lambda: repository.failures)
    export.close()
    assert not repository.messages
    logged = capsys.readouterr()
    assert "audit repository away" in logged.out + logged.err
    assert "unable to get local issuer certificate" in logged.out + logged.err
    assert "audit events not sent" in logged.out + logged.err


def test_a_repository_of_another_name_or_without_tls_gets_nothing(authority: Authority) -> None:
    with Repository(authority.issue("elsewhere.example")) as other:
        export = export_to(other.port, authority)
        export([an_event(1)])
        wait_for(lambda: other.failures)
        export.close()
        assert not other.messages
    with socket.create_server(("127.0.0.1", 0)) as plain:
        export = export_to(plain.getsockname()[1], authority)
        export([an_event(1)])
        connection, _ = plain.accept()
        with connection:
            connection.sendall(b"ready\n")
            assert b"AuditMessage" not in connection.recv(65536)
        export.close()


def test_a_repository_that_asks_for_a_certificate_is_shown_it(authority: Authority) -> None:
    certificate, key = authority.issue("client.example")
    with Repository(authority.issue(), clients=authority.file) as strict:
        dropped = REGISTRY.get_sample_value("cxr_audit_not_sent_total")
        without = export_to(strict.port, authority)
        without([an_event(1)])
        # More often than a message is sent again: it counts as sent only where the certificate was taken.
        wait_for(lambda: len(strict.failures) > 6)
        assert REGISTRY.get_sample_value("cxr_audit_not_sent_total") == dropped
        shown = export_to(strict.port, authority, syslog_certificate=certificate, syslog_key=key)
        shown([an_event(2)])
        wait_for(lambda: strict.messages)
        for export in (without, shown):
            export.close()
        assert strict.request_ids() == ids(1, first=2)


def test_a_repository_that_never_answers_holds_no_end_up(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        export = export_to(silent.getsockname()[1], authority)
        export([an_event(1)])
        time.sleep(0.2)
        started = time.monotonic()
        export.close()
        assert time.monotonic() - started < 8.0


def test_the_log_hands_on_what_it_has_written_with_the_hash_of_the_last(
    repository: Repository, authority: Authority, path: Path
) -> None:
    log, export = AuditLog(path, PSEUDONYMS), export_to(repository.port, authority)
    log.export = export
    log.note(Kind.ECHO, "ae:SENDER", "C-ECHO", "ok", source="10.0.0.1")
    log.close()
    export.close()
    (document,) = repository.documents
    last = path.read_text().splitlines()[-1]
    (found,) = [
        one.get("ParticipantObjectID")
        for one in document.findall("ParticipantObjectIdentification")
        if one.find("ParticipantObjectIDTypeCode").get("csd-code") == "hash"  # type: ignore[union-attr]
    ]
    assert f'"hash":"{found}"' in last


def test_an_event_that_makes_no_message_does_not_end_the_export(repository: Repository, authority: Authority) -> None:
    export = export_to(repository.port, authority)
    export([{"event": "nonsense"}, an_event(1)])
    wait_for(lambda: repository.request_ids() == ids(1, first=1))
    export.close()


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_files_that_cannot_be_used_are_named(tmp_path: Path, authority: Authority, content: str | None) -> None:
    file = tmp_path / "file.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(CxrError, match=r"CXR_AUDIT__SYSLOG_CA_FILE: .*file\.pem cannot be used"):
        tls_of(sending_to(1, authority, syslog_ca_file=file))
    with pytest.raises(CxrError, match=r"CXR_AUDIT__SYSLOG_CERTIFICATE and _KEY: .*file\.pem cannot be used"):
        tls_of(sending_to(1, authority, syslog_certificate=file, syslog_key=file))
