"""Reports with samples over HTTP: what they say of doubt in each form of the answer."""

import itertools
import json

import pytest

from app.dicom.sample import sample_dicom
from models.agreement import LOW_AGREEMENT
from tests.support.service import Service, encoded, gradient

PNG = encoded(gradient())
TEXTS = ("FINDINGS: AP view.\nIMPRESSION: Bacterial pneumonia.", "AP view. Bacterial pneumonia.", "Viral pneumonia.")
DOUBT = {"sentences", "doubt", "samples"}


@pytest.fixture
def diverse(service: Service) -> Service:
    """The engine writes the report, one sample that agrees, and one that does not, over and over."""
    texts = itertools.cycle(TEXTS)
    service.engine.write = lambda prompt: next(texts)
    service.engine.generations.clear()
    return service


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_samples_give_each_sentence_its_support(diverse: Service, accept: str) -> None:
    response = await diverse.client.post(
        "/v1/reports", files={"image": PNG}, data={"samples": "2", "seed": "3"}, headers={"Accept": accept}
    )
    body = json.loads([line for line in response.text.splitlines() if "IMPRESSION" in line][-1].removeprefix("data: "))
    assert body["report"]["text"] == TEXTS[0]
    assert body["sentences"] == [
        {"section": "findings", "text": "AP view.", "support": 0.5},
        {"section": "impression", "text": "Bacterial pneumonia.", "support": 0.5},
    ]
    assert (body["doubt"], body["samples"], body["seed"]) == (0.5, 2, 3)
    assert body["usage"]["image_tokens"] == 3 * 256
    assert diverse.codec.encoded == 1


@pytest.mark.parametrize("data", [{}, {"samples": "1"}])
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_without_samples_nothing_is_drawn_besides_and_nothing_is_said(
    diverse: Service, data: dict[str, str], accept: str
) -> None:
    response = await diverse.client.post("/v1/reports", files={"image": PNG}, data=data, headers={"Accept": accept})
    assert len(diverse.engine.generations) == 1
    assert not any(f'"{name}"' in response.text for name in DOUBT)


@pytest.mark.parametrize(("limit", "warned"), [("0.4", True), ("0.5", False)])
@pytest.mark.parametrize("accept", ["text/plain", "application/dicom", "application/fhir+json"])
async def test_text_and_documents_warn_where_the_doubt_is_above_what_the_client_says(
    diverse: Service, accept: str, limit: str, warned: bool
) -> None:
    response = await diverse.client.post(
        "/v1/reports",
        files={"image": sample_dicom()},
        data={"samples": "2", "doubt_above": limit},
        headers={"Accept": accept},
    )
    assert response.status_code == 200
    assert (LOW_AGREEMENT.encode() in response.content) is warned


@pytest.mark.parametrize("accept", ["text/plain", "application/dicom", "application/fhir+json"])
async def test_samples_that_nothing_would_tell_of_are_refused_before_anything_is_generated(
    diverse: Service, accept: str
) -> None:
    files, headers = {"image": sample_dicom()}, {"Accept": accept}
    response = await diverse.client.post("/v1/reports", files=files, data={"samples": "2"}, headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "doubt_not_told")
    assert not diverse.engine.generations


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"samples": "0"}, "samples"),
        ({"samples": "17"}, "samples"),
        ({"doubt_above": "0.5"}, "doubt_above"),
        ({"samples": "2", "doubt_above": "1.5"}, "doubt_above"),
    ],
)
async def test_what_makes_no_sense_is_400(service: Service, data: dict[str, str], field: str) -> None:
    response = await service.client.post("/v1/reports", files={"image": PNG}, data=data)
    assert response.status_code == 400
    assert field in response.json()["detail"]
