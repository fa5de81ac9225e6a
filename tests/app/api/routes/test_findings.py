"""Findings over HTTP, on fakes."""

import math
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.errors import Overloaded
from app.screening.fake import FRONTAL
from app.screening.protocol import Sight
from app.settings import Settings
from models.findings.calibration import FindingsCalibration
from tests.support.findings import FINDINGS, NORMAL, calibration_of
from tests.support.service import Service, encoded, gradient, running

PNG = encoded(gradient())
URL = "/v1/findings"
# What follows "Yes" is likelier, and what follows "It is n".
LIKELY = {"Y": 0.6, "N": 0.2, "n": 0.1, "a": 0.3}


def by_letter(service: Service) -> None:
    vocabulary = service.bundle.vocabulary
    service.engine.first_place = lambda prompt, token: math.log(LIKELY[vocabulary.decode([token])])


@pytest.fixture
async def offered(settings: Settings) -> AsyncIterator[Service]:
    async with running(settings, findings=FINDINGS, abnormal="normal") as service:
        by_letter(service)
        yield service


async def test_every_declared_finding_has_its_probability(offered: Service) -> None:
    response = await offered.client.post(URL, files={"image": PNG})
    assert response.status_code == 200
    body = response.json()
    assert (body["object"], body["model"], body["calibrated"]) == ("findings", "fake-1", False)
    assert [item["name"] for item in body["findings"]] == ["pneumonia", "normal"]
    assert [item["probability"] for item in body["findings"]] == pytest.approx([0.75, 0.25])
    assert body["findings"][0]["code"] == {"scheme": "SCT", "value": "233604007", "meaning": "Pneumonia"}
    assert body["abnormal"] == {"probability": pytest.approx(0.75), "calibrated": False}
    assert body["image"]["screen"]["decision"] == "accepted"
    assert "not a medical device" in body["notice"].lower()
    assert {"decode", "encode", "score", "total"} <= set(body["timings"])


async def test_the_image_is_encoded_once_and_every_finding_is_one_pass_that_is_counted(offered: Service) -> None:
    body = (await offered.client.post(URL, files={"image": PNG})).json()
    assert offered.codec.encoded == 1
    made = list(offered.engine.generations)
    assert [one.sampling.max_tokens for one in made] == [1, 1]
    assert body["usage"] == {
        "prompt_tokens": sum(len(one.prompt) for one in made),
        "image_tokens": 512,
        "completion_tokens": 2,
    }


async def test_answers_are_scored_behind_what_they_share(offered: Service) -> None:
    await offered.client.post(URL, files={"image": PNG})
    vocabulary = offered.bundle.vocabulary
    asked = {vocabulary.decode([*one.prompt])[-40:]: one for one in offered.engine.generations}
    (normal,) = [one for text, one in asked.items() if text.endswith("It is ")]
    assert vocabulary.decode([*normal.scored]) == "na"
    assert NORMAL.question in vocabulary.decode([*normal.prompt])


@pytest.mark.parametrize(("abnormal", "expected"), [(None, None), ("pneumonia", 0.75), ("any", 0.75)])
async def test_abnormal_is_told_only_where_the_bundle_says_by_what(
    settings: Settings, abnormal: str | None, expected: float | None
) -> None:
    async with running(settings, findings=FINDINGS, abnormal=abnormal) as service:
        by_letter(service)
        body = (await service.client.post(URL, files={"image": PNG})).json()
    assert body.get("abnormal", {}).get("probability") == (None if expected is None else pytest.approx(expected))


async def test_a_bundle_that_declares_none_offers_none(service: Service) -> None:
    response = await service.client.post(URL, files={"image": PNG})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "findings_not_offered"
    assert "/v1/answers" in response.json()["detail"]
    assert service.codec.encoded == 0


@pytest.mark.parametrize("field", ["question", "temperature", "seed"])
async def test_what_findings_are_not_asked_by_is_400_and_named(offered: Service, field: str) -> None:
    response = await offered.client.post(URL, files={"image": PNG}, data={field: "1"})
    assert response.status_code == 400
    assert field in response.json()["detail"]


async def test_a_failure_of_one_finding_fails_the_request_and_the_next_one_works(offered: Service) -> None:
    offered.engine.enqueue_failure(Overloaded("full"))
    assert (await offered.client.post(URL, files={"image": PNG})).status_code == 429
    assert (await offered.client.post(URL, files={"image": PNG})).status_code == 200


async def test_what_is_no_radiograph_is_refused_as_a_report_on_it_is(offered: Service) -> None:
    offered.screen.enqueue(Sight(replace(FRONTAL, frontal=0.01, not_a_radiograph=0.98)))
    response = await offered.client.post(URL, files={"image": PNG})
    assert (response.status_code, response.json()["code"]) == (422, "not_a_radiograph")
    assert not offered.engine.generations


@pytest.mark.parametrize("names", [("pneumonia",), ("pneumonia", "normal")])
async def test_calibrated_probabilities_are_told_apart_from_the_models_own(
    offered: Service, names: tuple[str, ...]
) -> None:
    fitted = {spec.name: calibration_of(spec) for spec in FINDINGS if spec.name in names}
    known = FindingsCalibration(weights_sha256="0", split="validation", findings=fitted)
    vars(offered.bundle)["findings_calibration"] = known
    body = (await offered.client.post(URL, files={"image": PNG})).json()
    pneumonia, normal = body["findings"]
    assert pneumonia["probability"] == pytest.approx(1 / (1 + math.exp(1.0 - 2.0 * math.log(3.0))))
    assert pneumonia["operating_points"]["youden"] == {"threshold": 0.4, "sensitivity": 0.9, "specificity": 0.8}
    assert (normal["calibrated"], "operating_points" in normal) == ("normal" in names,) * 2
    assert body["calibrated"] is ("normal" in names)
    if "normal" not in names:
        assert normal["probability"] == pytest.approx(0.25)
