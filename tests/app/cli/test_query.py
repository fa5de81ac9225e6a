"""What `cxr report`, `ask` and `findings` print of an answer."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.cli.client import Client

RUN = CliRunner()


@pytest.mark.parametrize(("options", "sent"), [([], None), (["--probabilities"], True)])
def test_the_probability_of_yes_is_printed_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], sent: bool | None
) -> None:
    file, seen = tmp_path / "a.dcm", []
    file.write_bytes(b"x")

    def answer(*_: object, probabilities: bool | None, **__: object) -> dict[str, object]:
        seen.append(probabilities)
        item = {"question": "Is there pneumonia?", "answer": "Yes."} | ({"probability": 0.934} if sent else {})
        return {"answers": [item], "image": {"warnings": []}, "notice": "Draft."}

    monkeypatch.setattr(Client, "answer", answer)
    result = RUN.invoke(app, ["ask", str(file), "Is there pneumonia?", *options])
    assert (result.exit_code, seen) == (0, [sent])
    assert ("Yes.  (yes: 93.4%, uncalibrated)" in result.output) == bool(sent)


@pytest.mark.parametrize(("options", "sent"), [([], None), (["--samples", "8"], 8)])
def test_how_far_samples_agree_is_printed_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], sent: int | None
) -> None:
    file, seen = tmp_path / "a.dcm", []
    file.write_bytes(b"x")

    def report(*_: object, samples: int | None, **__: object) -> dict[str, object]:
        seen.append(samples)
        sentences = [{"section": "impression", "text": "Normal [chest].", "support": 0.875}]
        doubt = {"doubt": 0.125, "samples": 8, "sentences": sentences} if sent else {}
        return {"report": {"text": "Normal [chest]."}, "image": {"warnings": []}, "notice": "Draft.", **doubt}

    monkeypatch.setattr(Client, "report", report)
    result = RUN.invoke(app, ["report", str(file), *options])
    assert (result.exit_code, seen) == (0, [sent])
    assert ("doubt: 12%, by 8 samples\n  88%  Normal [chest]." in result.output) == bool(sent)


@pytest.mark.parametrize("calibrated", [False, True])
def test_findings_are_a_table_that_says_whether_it_is_calibrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calibrated: bool
) -> None:
    file = tmp_path / "a.dcm"
    file.write_bytes(b"x")
    code = {"scheme": "SCT", "value": "233604007", "meaning": "Pneumonia [lung]"}
    item = {"name": "pneumonia", "code": code, "question": "Is there pneumonia?", "probability": 0.934}
    body = {"findings": [item], "abnormal": {"probability": 0.5}, "image": {"warnings": []}, "notice": "Draft."}
    monkeypatch.setattr(Client, "findings", lambda *_: {**body, "calibrated": calibrated})
    result = RUN.invoke(app, ["findings", str(file)])
    assert result.exit_code == 0
    for told in ("pneumonia", "0.934", "SCT 233604007 Pneumonia [lung]", "abnormal", "0.500"):
        assert told in result.output
    assert ("not calibrated" in result.output) is not calibrated
