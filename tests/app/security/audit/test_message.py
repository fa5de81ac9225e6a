"""Events as audit messages. The schema beside this file is that of DICOM PS3.15 A.5.1.1, written anew in RELAX NG's XML
syntax from the names, numbers and types that the standard gives in the compact one.
"""

import base64
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from app.security.audit.events import KINDS, Kind, event
from app.security.audit.message import Origin, messages_of, outcome_of

SCHEMA = etree.RelaxNG(etree.parse(Path(__file__).with_name("audit_message.rng")))
ORIGIN = Origin("node-1", "host.example", "LLMCXR", "0123456789abcdef")
ODD = "\"quoted\" <tag/> & 'é' 胸 \x00\x1b\ud800\uffff\n]]>"
FACTS: dict[str, Any] = {
    "account": f"root ({ODD})",
    "ae": "ＡＥ <é>",
    "before": "audit-000001.jsonl",
    "before_hash": "0" * 64,
    "bytes": 12,
    "destination": ODD,
    "events": 3,
    "instances": 12,
    "job": "a-job",
    "key": "k1",
    "keys": ["PatientName", "StudyDate", ODD],
    "name": ODD,
    "node": "node-1",
    "number": 17,
    "patients": ["0011223344556677"],
    "pid": 4711,
    "request_id": ODD,
    "requests": 3000,
    "settings": ["limits.max_json_mb=2", ODD],
    "source": "2001:db8::1",
    "studies": [f"{number:016x}" for number in range(1000)],
    "version": "1",
}


def parsed(message: bytes) -> Any:
    document = etree.fromstring(message, etree.XMLParser(resolve_entities=False))
    assert SCHEMA.validate(document), SCHEMA.error_log
    return document


def message_of(kind: Kind, who: str = "key:1", outcome: str = "200", **facts: Any) -> Any:
    (message,) = messages_of(event(kind, who, "GET /dicom-web/studies", outcome, **facts), ORIGIN)
    return parsed(message)


@pytest.mark.parametrize("who", ["key:1", "ae:SENDER ü<", "service", "operator", "unknown", ODD])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_valid_with_and_without_its_facts_and_with_odd_ones(kind: Kind, who: str) -> None:
    facts = {name: FACTS[name] for name in KINDS[kind].fields}
    for given in ({}, facts, FACTS, {"hash": "ab" * 32, "number": 17}):
        for message in messages_of(event(kind, who, ODD, ODD, **given), ORIGIN):
            document = parsed(message)
            assert document.find("EventIdentification/EventID").get("csd-code") == KINDS[kind].event.value
            assert len(message) < 32_768


def test_a_thousand_studies_are_several_messages_that_hold_each_once() -> None:
    messages = messages_of(event(Kind.QUERY, "key:1", "GET", "200", **FACTS), ORIGIN)
    path = "ParticipantObjectIdentification[ParticipantObjectIDTypeCode/@csd-code='110180']/@ParticipantObjectID"
    held = [found for message in messages for found in parsed(message).xpath(path)]
    assert held == FACTS["studies"]
    assert len(messages) == 21


def test_who_saw_whose_images_from_where_is_told() -> None:
    facts = {name: FACTS[name] for name in ("patients", "instances", "source")}
    message = message_of(Kind.RETRIEVED, studies=["00000000000000ff"], **facts)
    client, service = message.findall("ActiveParticipant")
    assert client.get("UserID") == "key:1"
    assert (client.get("NetworkAccessPointID"), client.get("NetworkAccessPointTypeCode")) == ("2001:db8::1", "2")
    assert (client.get("UserIsRequestor"), service.get("UserIsRequestor")) == ("true", "false")
    assert client.find("RoleIDCode").get("originalText") == "Destination Role ID"
    assert (service.get("UserID"), service.get("AlternativeUserID")) == ("node-1", "AETITLES=LLMCXR")
    assert message.find("AuditSourceIdentification").get("AuditSourceID") == "node-1"
    _, study, patient = message.findall("ParticipantObjectIdentification")
    assert study.get("ParticipantObjectID") == "00000000000000ff"
    assert study.find("ParticipantObjectDescription/SOPClass").get("NumberOfInstances") == "12"
    assert patient.get("ParticipantObjectID") == "0011223344556677"
    assert (patient.get("ParticipantObjectTypeCode"), patient.get("ParticipantObjectTypeCodeRole")) == ("1", "1")


def test_a_sender_is_told_by_its_ae_title_and_a_refused_one_too() -> None:
    for facts in ({"who": "ae:MODALITY"}, {"who": "unknown", "ae": "MODALITY"}):
        client = message_of(Kind.NODE_REFUSED, source="10.0.0.7", **facts).find("ActiveParticipant")
        assert client.get("AlternativeUserID") == "AETITLES=MODALITY"
        assert client.get("NetworkAccessPointID") == "10.0.0.7"


def test_an_operator_is_told_by_account_and_process() -> None:
    operator, service = message_of(Kind.KEYS_LISTED, "operator", "ok", account="cxr (anna)", pid=7).findall(
        "ActiveParticipant"
    )
    assert (operator.get("UserID"), operator.get("AlternativeUserID")) == ("cxr (anna)", "7")
    assert (operator.get("UserIsRequestor"), service.get("UserIsRequestor")) == ("true", "false")


def test_a_search_has_its_keys_and_a_key_event_its_key() -> None:
    (query,) = message_of(Kind.QUERY, keys=["PatientID", "StudyDate"]).iter("ParticipantObjectQuery")
    assert base64.b64decode(query.text) == b"PatientID&StudyDate"
    changed = message_of(Kind.KEYS_CHANGED, "operator", "ok", key="k1", name="viewer")
    assert changed.find("ParticipantObjectIdentification[@ParticipantObjectID='key:k1']") is not None


def test_the_last_event_of_a_batch_has_its_number_and_hash_in_plain_text() -> None:
    message = message_of(Kind.ECHO, number=17, hash="ab" * 32)
    (found,) = message.findall(f"ParticipantObjectIdentification[@ParticipantObjectID='{'ab' * 32}']")
    assert found.findtext("ParticipantObjectName") == "event 17"


def test_what_has_no_place_of_its_own_is_a_detail() -> None:
    message = message_of(Kind.REFUSED, "unknown", "401", requests=3000, source="others", request_id="r1")
    details = {
        one.get("type"): base64.b64decode(one.get("value")).decode() for one in message.iter("ParticipantObjectDetail")
    }
    assert details == {"what": "GET /dicom-web/studies", "outcome": "401", "requests": "3000", "request_id": "r1"}
    assert message.find("ActiveParticipant").get("NetworkAccessPointID") is None


@pytest.mark.parametrize(
    ("kind", "outcome", "indicator"),
    [
        (Kind.QUERY, "200", "0"),
        (Kind.RECEIVED, "stored", "0"),
        (Kind.RECEIVED, "kept_apart", "4"),
        (Kind.RECEIVED, "out_of_resources", "4"),
        (Kind.REFUSED, "401", "4"),
        (Kind.RETRIEVED, "503", "8"),
        (Kind.RETRIEVED, "aborted", "8"),
        (Kind.LOST, "lost", "8"),
        (Kind.STOP, "draining", "0"),
        (Kind.STOP, "failed", "12"),
    ],
)
def test_how_it_ended_is_an_indicator(kind: Kind, outcome: str, indicator: str) -> None:
    assert outcome_of(event(kind, "x", "y", outcome)) == indicator
