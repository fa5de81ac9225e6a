"""`cxr evidence`: what it sends, writes and refuses."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from app.cli import app

RUN = CliRunner()
BODY = {"map": [[0.5]], "log_probability": -0.25, "answer": "Yes.", "image": {"warnings": ["turned"]}}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The requests that were sent; a service that answers as it is asked to."""
    requests: list[dict[str, Any]] = []

    def post(url: str, **arguments: Any) -> httpx.Response:
        requests.append({"url": url, **arguments})
        accept = arguments["headers"]["Accept"]
        content = json.dumps(BODY).encode() if accept == "application/json" else b"\x89PNG"
        return httpx.Response(200, content=content, headers={"Content-Type": accept})

    monkeypatch.setattr(httpx, "post", post)
    return requests


@pytest.fixture
def film(tmp_path: Path) -> Path:
    (tmp_path / "chest.dcm").write_bytes(b"film")
    return tmp_path / "chest.dcm"


@pytest.mark.parametrize(
    ("suffix", "accept"), [(".png", "image/png"), (".dcm", "application/dicom"), (".json", "application/json")]
)
def test_the_suffix_of_the_file_says_what_is_asked_for(
    sent: list[dict[str, Any]], film: Path, suffix: str, accept: str
) -> None:
    out = film.with_name(f"map{suffix}")
    result = RUN.invoke(app, ["evidence", str(film), "Focal consolidation.", "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert out.read_bytes()
    assert "no finding" in result.output
    (request,) = sent
    assert request["url"].endswith("/v1/evidence")
    assert request["headers"]["Accept"] == accept
    assert request["data"] == {"statement": "Focal consolidation."}


def test_what_ends_in_a_question_mark_is_asked(sent: list[dict[str, Any]], film: Path) -> None:
    out = film.with_name("map.json")
    result = RUN.invoke(app, ["evidence", str(film), "Is there pneumonia?", "-o", str(out)])
    assert sent[0]["data"] == {"question": "Is there pneumonia?"}
    assert "of the answer: Yes." in result.output
    assert "-0.250" in result.output
    assert "Note: turned" in result.output


def test_what_the_report_says_before_is_sent_as_context(sent: list[dict[str, Any]], film: Path) -> None:
    out = film.with_name("map.json")
    RUN.invoke(app, ["evidence", str(film), "Focal consolidation.", "--context", "AP film.", "-o", str(out)])
    assert sent[0]["data"] == {"context": "AP film.", "statement": "Focal consolidation."}


@pytest.mark.parametrize("name", ["map.jpg", "nowhere/map.png"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_sent(
    sent: list[dict[str, Any]], film: Path, name: str
) -> None:
    result = RUN.invoke(app, ["evidence", str(film), "Focal consolidation.", "-o", str(film.parent / name)])
    assert result.exit_code != 0
    assert not sent


def test_a_refusal_is_told_in_the_services_words(monkeypatch: pytest.MonkeyPatch, film: Path) -> None:
    problem = httpx.Response(400, json={"detail": "question: ask a closed one", "code": "not_closed"})
    monkeypatch.setattr(httpx, "post", lambda *_, **__: problem)
    out = film.with_name("map.png")
    result = RUN.invoke(app, ["evidence", str(film), "What is there?", "-o", str(out)])
    assert (result.exit_code, out.exists()) == (1, False)
    assert "ask a closed one" in result.output
