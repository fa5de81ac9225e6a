"""An event as the XML of DICOM audit messages (PS3.15 A.5.1), which IHE's ITI-20 sends to an audit record repository.

Studies and patients are the pseudonyms that the log holds. Values that are no codes of DICOM's or of RFC 3881 have the
coding scheme 99LLMCXR.
"""

import base64
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from app.security.audit.events import KINDS, Code, Event, Kind

# A repository takes 32,768 bytes (PS3.15 A.6); an event of many studies becomes several messages.
_MOST_OBJECTS = 50
_MOST_CHARS = 2_000
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DCM, _RFC, _OURS = "DCM", "RFC-3881", "99LLMCXR"

_APPLICATION = Code("110150", "Application")
_DESTINATION = Code("110152", "Destination Role ID")
_SOURCE = Code("110153", "Source Role ID")
# The parts of the client (a destination, where the service is the one who asks) and of the service.
_ROLES: Mapping[Kind, tuple[Code | None, Code]] = {
    Kind.START: (None, _APPLICATION),
    Kind.STOP: (None, _APPLICATION),
    Kind.QUERY: (_SOURCE, _DESTINATION),
    Kind.RETRIEVED: (_DESTINATION, _SOURCE),
    Kind.RECEIVED: (_SOURCE, _DESTINATION),
    Kind.DELIVERED: (_DESTINATION, _SOURCE),
    Kind.NOTIFIED: (_DESTINATION, _SOURCE),
}

_STUDY, _PATIENT = Code("110180", "Study Instance UID"), Code("2", "Patient Number")
_SEARCH, _USER = Code("10", "Search Criteria"), Code("11", "User Identifier")
_EVENT, _HASH = Code("event", "Event"), Code("hash", "Hash of an event of the audit log")
_PERSON, _SYSTEM_OBJECT = "1", "2"
_OF_PATIENT, _OF_REPORT, _OF_USER, _OF_RESOURCE, _OF_QUERY = "1", "3", "11", "13", "24"

_SUCCESS, _MINOR, _SERIOUS, _MAJOR = "0", "4", "8", "12"
_GOOD = ("ok", "found", "stored", "delivered", "starting", "ready", "draining")
_TOLD_ELSEWHERE = frozenset(
    ("time", "event", "who", "account", "pid", "source", "ae", "destination", "key", "keys", "studies", "patients")
) | {"number", "hash"}


@dataclass(frozen=True)
class Origin:
    """Where messages come from: the node, the host it runs on, its AE title, the name of its audit log."""

    node: str
    host: str
    ae_title: str
    site: str


def messages_of(event: Event, origin: Origin) -> list[bytes]:
    """An event's messages in UTF-8: one, or several that differ in their studies and patients."""
    subjects = [(one, True) for one in event.get("studies", ())] + [(one, False) for one in event.get("patients", ())]
    parts = [subjects[at : at + _MOST_OBJECTS] for at in range(0, len(subjects), _MOST_OBJECTS)] or [[]]
    return [
        _message(event, origin, part, f"{number} of {len(parts)}" if len(parts) > 1 else "")
        for number, part in enumerate(parts, start=1)
    ]


def outcome_of(event: Event) -> str:
    """The EventOutcomeIndicator: success, or a minor, serious or major failure."""
    kind, outcome = event["event"], str(event["outcome"])
    if kind in (Kind.TORN, Kind.CUT, Kind.LOST, Kind.NOT_SENT) or outcome == "aborted":
        return _SERIOUS
    if kind == Kind.STOP and outcome == "failed":
        return _MAJOR
    if outcome.isdecimal():
        return _SUCCESS if int(outcome) < 400 else _MINOR if int(outcome) < 500 else _SERIOUS
    return _SUCCESS if outcome in _GOOD else _MINOR


def _message(event: Event, origin: Origin, subjects: list[tuple[str, bool]], part: str) -> bytes:
    message = Element("AuditMessage")
    _identify(message, event)
    _add_participants(message, event, origin)
    source = _add(message, "AuditSourceIdentification", AuditEnterpriseSiteID=origin.site, AuditSourceID=origin.node)
    _add(source, "AuditSourceTypeCode", {"csd-code": "4"})  # an application server
    _add_event(message, event, part)
    alone = len(event.get("studies", ())) == 1
    for pseudonym, is_study in subjects:
        if is_study:
            study = _add_object(message, pseudonym, _STUDY, _DCM, _SYSTEM_OBJECT, _OF_REPORT, "pseudonym of a study")
            if alone and "instances" in event:
                description = _add(study, "ParticipantObjectDescription")
                _add(description, "SOPClass", NumberOfInstances=str(event["instances"]))
        else:
            _add_object(message, pseudonym, _PATIENT, _RFC, _PERSON, _OF_PATIENT, "pseudonym of a patient")
    # Without the declaration that ElementTree would write in single quotes.
    body: str = tostring(message, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>{body}'.encode()


def _identify(message: Element, event: Event) -> None:
    description = KINDS[Kind(event["event"])]
    identification = _add(
        message,
        "EventIdentification",
        EventActionCode=description.action,
        EventDateTime=event["time"],
        EventOutcomeIndicator=outcome_of(event),
    )
    _add_code(identification, "EventID", description.event)
    if description.type is not None:
        _add_code(identification, "EventTypeCode", description.type)
    _add(identification, "EventOutcomeDescription", text=event["outcome"])


def _add_participants(message: Element, event: Event, origin: Origin) -> None:
    who = str(event["who"])
    role, own_role = _ROLES.get(Kind(event["event"]), (None, None))
    if who == "operator":
        # A.5.2.1, A.5.2.2: a person by the name on this system, a process by its number.
        account = str(event.get("account", who))
        _add_participant(message, account, True, role, AlternativeUserID=str(event.get("pid", "")), UserName=who)
    elif who != "service":
        ae = str(event.get("ae") or (who.removeprefix("ae:") if who.startswith("ae:") else ""))
        _add_participant(message, who, True, role, **_titles(ae), **_network(str(event.get("source", ""))))
    elif role is not None:
        _add_participant(message, str(event.get("destination", "webhook")), False, role)
    own = {**_titles(origin.ae_title), "NetworkAccessPointID": origin.host, "NetworkAccessPointTypeCode": "1"}
    _add_participant(message, origin.node, who == "service", own_role, **own)


def _add_participant(message: Element, user: str, asks: bool, role: Code | None, **attributes: str) -> None:
    known = {name: value for name, value in attributes.items() if value}
    given = {"UserID": user, "UserIsRequestor": "true" if asks else "false", **known}
    participant = _add(message, "ActiveParticipant", given)
    if role is not None:
        _add_code(participant, "RoleIDCode", role)


def _titles(ae: str) -> dict[str, str]:
    return {"AlternativeUserID": f"AETITLES={ae}"} if ae else {}


def _network(source: str) -> dict[str, str]:
    try:
        ipaddress.ip_address(source)
    except ValueError:
        return {}
    return {"NetworkAccessPointID": source, "NetworkAccessPointTypeCode": "2"}


def _add_event(message: Element, event: Event, part: str) -> None:
    """What no other element has room for, and objects of what was asked for, changed or written."""
    told = {name: value for name, value in event.items() if name not in _TOLD_ELSEWHERE}
    if part:
        told["part"] = part
    about = _add_object(message, event["event"], _EVENT, _OURS, _SYSTEM_OBJECT, _OF_RESOURCE, event["what"])
    for name, value in told.items():
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        _add(about, "ParticipantObjectDetail", type=name, value=_base64(text))
    if event["event"] == Kind.QUERY:
        query = "&".join(map(str, event.get("keys", ())))
        _add_object(message, event["what"], _SEARCH, _RFC, _SYSTEM_OBJECT, _OF_QUERY, query=query)
    if "key" in event:
        _add_object(message, f"key:{event['key']}", _USER, _RFC, _SYSTEM_OBJECT, _OF_USER, event.get("name", "a key"))
    if "hash" in event:
        # In plain text: who looks for the last event that left the machine finds its hash.
        _add_object(
            message, event["hash"], _HASH, _OURS, _SYSTEM_OBJECT, _OF_RESOURCE, f"event {event.get('number', '')}"
        )


def _add_object(
    message: Element, identity: str, code: Code, system: str, kind: str, role: str, name: str = "", query: str = ""
) -> Element:
    found = _add(
        message,
        "ParticipantObjectIdentification",
        ParticipantObjectID=identity,
        ParticipantObjectTypeCode=kind,
        ParticipantObjectTypeCodeRole=role,
    )
    _add_code(found, "ParticipantObjectIDTypeCode", code, system)
    # Either a name or a query; both together the schema does not have.
    if name:
        _add(found, "ParticipantObjectName", text=name)
    else:
        _add(found, "ParticipantObjectQuery", text=_base64(query))
    return found


def _add_code(parent: Element, tag: str, code: Code, system: str = _DCM) -> None:
    _add(parent, tag, {"csd-code": code.value, "codeSystemName": system, "originalText": code.meaning})


def _add(
    parent: Element, tag: str, given: Mapping[str, Any] | None = None, text: Any = None, **attributes: Any
) -> Element:
    element = SubElement(parent, tag, {name: _clean(value) for name, value in {**(given or {}), **attributes}.items()})
    if text is not None:
        element.text = _clean(text)
    return element


def _clean(value: Any) -> str:
    """What XML 1.0 has no place for, as U+FFFD."""
    return _NOT_XML.sub("\ufffd", str(value)[:_MOST_CHARS])


def _base64(text: str) -> str:
    return base64.b64encode(text.encode(errors="replace")[:_MOST_CHARS]).decode()
