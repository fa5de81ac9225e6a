"""Accept by RFC 9110 12.5.1: q=0, the precedence of the more specific range, and what clients really send."""

import pytest
from fastapi import Request

from app.api.http.negotiation import elements_of, negotiate
from app.errors import NotAcceptable

OFFERED = ("application/json", "text/plain", "text/event-stream", "application/dicom", "application/fhir+json")


def request_of(*accept: str) -> Request:
    headers = [(b"accept", value.encode()) for value in accept]
    return Request({"type": "http", "headers": headers})


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json;q=0, */*", "text/plain"),
        ("*/*, application/json;q=0", "text/plain"),
        ("application/json;q=0.0, text/plain;q=0.000, */*;q=0.1", "text/event-stream"),
        (
            "text/*;q=0.5, text/plain;q=0.1, application/json;q=0.3, text/event-stream;q=0",
            "application/json",
        ),
        ("text/*, text/plain;q=0", "text/event-stream"),
        ("*/*;q=0.1, text/plain", "text/plain"),
        ("text/plain;q=0.2, application/json", "application/json"),
        ("text/plain;Q=0.2, application/json;q=0.1", "text/plain"),
        ("TEXT/PLAIN", "text/plain"),
        ("text/plain, application/json", "text/plain"),
        ("application/*", "application/json"),
        ('application/dicom; transfer-syntax="*"', "application/dicom"),
        ('multipart/related; type="application/json,text/plain", text/plain', "text/plain"),
        ("application/json;charset=utf-8", "application/json"),
        ("application/json;version=2;q=0, application/json;q=0.5", "application/json"),
        ("text/plain;q=nonsense, application/dicom", "application/dicom"),
        ("text/plain;q=7, application/dicom", "application/dicom"),
        ("nonsense, text/plain", "text/plain"),
        ("image/png, text/plain;q=0.1", "text/plain"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
    ],
)
def test_the_offered_type_that_the_client_likes_best_is_chosen(accept: str | None, chosen: str) -> None:
    assert negotiate(request_of() if accept is None else request_of(accept), OFFERED) == chosen


def test_several_accept_headers_are_one_list() -> None:
    assert negotiate(request_of("image/png", "text/plain"), OFFERED) == "text/plain"


@pytest.mark.parametrize("accept", ["application/json;q=0", "image/png", "*/*;q=0", "text/html, image/*", "nonsense"])
def test_what_the_client_does_not_accept_is_refused_with_what_is_offered(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="application/json"):
        negotiate(request_of(accept), ("application/json",))


DICOM = {"type": "application/dicom"}


@pytest.mark.parametrize(
    ("accept", "parameters"),
    [
        ('multipart/related; type="application/dicom"', DICOM),
        ("multipart/related; type=application/dicom", DICOM),
        ("multipart/related;type=application/dicom", DICOM),
        ("multipart/related ; type = application/dicom ", DICOM),
        ("MULTIPART/RELATED; TYPE=application/dicom", DICOM),
        ("multipart/related; type=application/octet-stream", {"type": "application/octet-stream"}),
        ("multipart/related; type=application/dicom; transfer-syntax=*", {**DICOM, "transfer-syntax": "*"}),
        ('multipart/related; transfer-syntax="1.2"; type=application/dicom', {"transfer-syntax": "1.2", **DICOM}),
        (
            "multipart/related; q=0.5;type=application/dicom;transfer-syntax=*",
            {"q": "0.5", **DICOM, "transfer-syntax": "*"},
        ),
        ('multipart/related; type="a;b=c/d"; q=1', {"type": "a;b=c/d", "q": "1"}),
        ("multipart/related; type=", {"type": ""}),
        ("multipart/related; type", {}),
    ],
)
def test_parameters_are_read_quoted_or_not(accept: str, parameters: dict[str, str]) -> None:
    assert elements_of(f"{accept}, text/plain") == [("multipart/related", parameters), ("text/plain", {})]
