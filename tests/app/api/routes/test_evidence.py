"""Evidence over HTTP, on fakes."""

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from app.dicom.sample import sample_dicom
from app.errors import Overloaded
from app.screening.fake import FRONTAL
from app.screening.protocol import Sight
from app.settings import Settings
from tests.support.peers import dciodvfy_errors
from tests.support.service import Service, encoded, gradient, running

PNG = encoded(gradient())
URL = "/v1/evidence"
STATEMENT = {"statement": "Focal consolidation."}
QUESTION = {"question": "Is there pneumonia?"}


@pytest.fixture
async def telling(settings: Settings) -> AsyncIterator[Service]:
    """A model whose text depends on the second code of the image, and by less on the last one."""
    async with running(settings) as service:
        image = service.bundle.vocabulary.image_offset
        seen: list[list[int]] = []

        def likely(prompt: tuple[int, ...]) -> float:
            codes = [token for token in prompt if token >= image]
            seen.append(codes)
            return -0.5 * (codes[1] != seen[0][1]) - 0.25 * (codes[-1] != seen[0][-1]) - 0.125

        service.engine.log_likelihood = likely
        yield service


async def test_what_the_statement_loses_without_a_region_is_the_regions_weight(telling: Service) -> None:
    response = await telling.client.post(URL, files={"image": PNG}, data=STATEMENT)
    assert response.status_code == 200
    body = response.json()
    tokens = len(telling.bundle.vocabulary.encode(STATEMENT["statement"]))
    weights = np.array(body["map"])
    assert weights.shape == (16, 16)
    expected = np.zeros((16, 16))
    expected[:3, :3], expected[-2:, -2:] = 0.5 * tokens, 0.25 * tokens
    assert np.allclose(weights, expected)
    assert body["log_probability"] == pytest.approx(-0.125 * tokens)
    assert (body["object"], body["model"], body["statement"]) == ("evidence", "fake-1", STATEMENT["statement"])
    assert body["replaced"] == {"regions": 36, "rows": 3, "columns": 3, "by": "predicted"}
    assert "question" not in body
    assert "answer" not in body
    assert body["image"]["warnings"] == []
    assert "not a medical device" in body["notice"].lower()
    assert {"decode", "encode", "score", "total"} <= set(body["timings"])


async def test_a_statement_is_taken_as_the_text_of_a_report_and_all_interventions_are_counted(telling: Service) -> None:
    body = (await telling.client.post(URL, files={"image": PNG}, data=STATEMENT)).json()
    ids = telling.bundle.vocabulary.encode(STATEMENT["statement"])
    scored = list(telling.engine.scored)
    codes = telling.bundle.vocabulary.codes(
        [i for i in scored[0].prompt if i >= telling.bundle.vocabulary.image_offset]
    )
    assert scored[0].prompt == (*telling.bundle.prompts.report(codes), *ids)
    assert {one.count for one in scored} == {len(ids)}
    assert len(scored) == 37
    assert telling.codec.encoded == 1
    assert not telling.engine.generations
    # Once more to find what the model expects in each place.
    first_text = telling.bundle.vocabulary.image_offset
    looked = max(place for place, token in enumerate(scored[0].prompt) if token >= first_text) + 1
    assert body["usage"] == {
        "prompt_tokens": sum(len(one.prompt) for one in scored) + looked,
        "image_tokens": 38 * 256,
        "completion_tokens": 0,
    }


async def test_regions_are_replaced_by_what_the_model_expects_there(telling: Service) -> None:
    await telling.client.post(URL, files={"image": PNG}, data=STATEMENT)
    offset = telling.bundle.vocabulary.image_offset
    whole, first, *_ = [[t for t in one.prompt if t >= offset] for one in telling.engine.scored]
    places = [place for place, (one, other) in enumerate(zip(whole, first, strict=True)) if one != other]
    assert places == [0, 1, 2, 16, 17, 18, 32, 33, 34]
    # The fake finds the id before the one that is there likeliest besides it.
    assert [first[place] for place in places] == [whole[place] - 1 for place in places]


async def test_a_context_is_read_before_the_statement_and_not_scored(telling: Service) -> None:
    context = "FINDINGS: Frontal view."
    await telling.client.post(URL, files={"image": PNG}, data={**STATEMENT, "context": context})
    vocabulary, one = telling.bundle.vocabulary, telling.engine.scored[0]
    text = f"{context} {STATEMENT['statement']}"
    assert list(one.prompt[-len(vocabulary.encode(text)) :]) == vocabulary.encode(text)
    assert vocabulary.decode(one.prompt[-one.count :]) == f" {STATEMENT['statement']}"


async def test_the_map_of_a_question_is_of_the_answer_that_the_model_gives(telling: Service) -> None:
    telling.engine.text = "Yes, there is pneumonia."
    body = (await telling.client.post(URL, files={"image": PNG}, data=QUESTION)).json()
    assert (body["question"], body["answer"]) == (QUESTION["question"], telling.engine.text)
    assert "statement" not in body
    (asked,) = telling.engine.generations
    assert asked.sampling.temperature == 0.0
    first = telling.engine.scored[0]
    assert first.prompt == (*asked.prompt, *telling.bundle.vocabulary.encode(telling.engine.text))
    assert body["usage"]["image_tokens"] == 39 * 256


async def test_interventions_wait_behind_other_requests_and_before_studies(telling: Service) -> None:
    await telling.client.post(URL, files={"image": PNG}, data=STATEMENT)
    assert {one.priority for one in telling.engine.scored} == {5}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "nothing_asked"),
        ({"statement": ""}, "nothing_asked"),
        ({**STATEMENT, **QUESTION}, "two_asked"),
        ({"statement": "   "}, "invalid_request"),
        ({"question": "What is there?"}, "not_closed"),
        ({"question": "Draw a normal chest."}, "not_closed"),
        ({**QUESTION, "context": "FINDINGS:"}, "context_of_nothing"),
        ({"statement": "x" * 200}, "statement_too_long"),
        ({"statement": "x", "context": "x" * 200}, "statement_too_long"),
        ({"statement": "x" * 100_000}, "prompt_too_long"),
        ({**STATEMENT, "temperature": "1"}, "invalid_request"),
    ],
    ids=["none", "empty", "both", "blank", "open", "drawing", "context", "long", "long context", "far", "unknown"],
)
async def test_what_no_map_can_be_of_is_refused_in_words(telling: Service, fields: dict[str, str], code: str) -> None:
    response = await telling.client.post(URL, files={"image": PNG}, data=fields)
    assert (response.status_code, response.json()["code"]) == (400, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert telling.codec.encoded == 0


async def test_a_question_that_the_model_says_nothing_to_has_no_map(telling: Service) -> None:
    telling.engine.text = ""
    response = await telling.client.post(URL, files={"image": PNG}, data=QUESTION)
    assert (response.status_code, response.json()["code"]) == (400, "no_answer")


async def test_as_a_picture_the_map_lies_over_the_radiograph_and_says_what_it_is(telling: Service) -> None:
    response = await telling.client.post(URL, files={"image": PNG}, data=STATEMENT, headers={"Accept": "image/png"})
    assert (response.status_code, response.headers["content-type"]) == (200, "image/png")
    picture = Image.open(io.BytesIO(response.content))
    assert (picture.mode, picture.width) == ("RGB", 768)
    assert "NOT A FINDING" in picture.text["Description"]  # type: ignore[attr-defined]
    pixels = np.asarray(picture).astype(int)
    coloured = np.abs(pixels[..., 0] - pixels[..., 2]) > 20
    assert coloured.any()
    rows = np.flatnonzero(coloured.any(axis=1))
    assert coloured[rows[0] : rows[0] + 96, :96].all()  # two of 16 codes
    assert coloured.mean() < 0.05


async def test_of_a_dicom_image_the_map_is_a_secondary_capture_in_its_study(telling: Service, tmp_path: Path) -> None:
    accept = {"Accept": "application/dicom"}
    response = await telling.client.post(URL, files={"image": sample_dicom()}, data=STATEMENT, headers=accept)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/dicom")
    dataset = pydicom.dcmread(io.BytesIO(response.content))
    source = pydicom.dcmread(io.BytesIO(sample_dicom()))
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "AccessionNumber"):
        assert dataset[keyword].value == source[keyword].value
    assert dataset.SeriesInstanceUID != source.SeriesInstanceUID
    assert dataset.SOPClassUID.name == "Secondary Capture Image Storage"
    assert dataset.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert "NOT A FINDING" in dataset.DerivationDescription
    assert dataset.ImageComments == f'Of: "{STATEMENT["statement"]}", log-probability -2.50.'
    assert dataset.pixel_array.shape == (dataset.Rows, 768, 3)
    (tmp_path / "map.dcm").write_bytes(response.content)
    assert not dciodvfy_errors(tmp_path / "map.dcm")


@pytest.mark.parametrize("said", ["\u041e\u043f\u0430\u0441\u043d\u043e\u0441\u0442\u044c \u80ba\u708e", "x\ny"])
async def test_the_capture_has_the_letters_that_its_picture_lacks(telling: Service, said: str) -> None:
    accept, form = {"Accept": "application/dicom"}, {"statement": said}
    response = await telling.client.post(URL, files={"image": sample_dicom()}, data=form, headers=accept)
    assert " ".join(said.split()) in str(pydicom.dcmread(io.BytesIO(response.content)).ImageComments)


async def test_the_capture_of_an_answer_names_its_question(telling: Service) -> None:
    accept = {"Accept": "application/dicom"}
    response = await telling.client.post(URL, files={"image": sample_dicom()}, data=QUESTION, headers=accept)
    assert QUESTION["question"] in str(pydicom.dcmread(io.BytesIO(response.content)).ImageComments)


async def test_a_png_gets_no_dicom_document(telling: Service) -> None:
    accept = {"Accept": "application/dicom"}
    response = await telling.client.post(URL, files={"image": PNG}, data=STATEMENT, headers=accept)
    assert response.status_code == 406
    assert telling.codec.encoded == 0


async def test_a_failure_of_one_intervention_fails_the_request_and_the_next_one_works(telling: Service) -> None:
    telling.engine.enqueue_failure(Overloaded("full"))
    assert (await telling.client.post(URL, files={"image": PNG}, data=STATEMENT)).status_code == 429
    assert (await telling.client.post(URL, files={"image": PNG}, data=STATEMENT)).status_code == 200


async def test_what_is_no_radiograph_is_refused_as_a_report_on_it_is(telling: Service) -> None:
    telling.screen.enqueue(Sight(replace(FRONTAL, frontal=0.01, not_a_radiograph=0.98)))
    response = await telling.client.post(URL, files={"image": PNG}, data=STATEMENT)
    assert (response.status_code, response.json()["code"]) == (422, "not_a_radiograph")
    assert not telling.engine.scored
