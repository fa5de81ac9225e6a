"""Reports, answers and tokens over HTTP, on fakes."""

import base64
import json

import pytest

from app.errors import EngineDead, Overloaded, WorkerFailed
from app.settings import LimitsSettings, Settings
from tests.support.service import Service, encoded, gradient, running

PNG = encoded(gradient())


async def test_a_png_gets_a_report_in_the_shape_of_the_contract(service: Service) -> None:
    response = await service.client.post("/v1/reports", files={"image": PNG})
    assert response.status_code == 200
    body = response.json()
    assert body["object"] == "report"
    assert body["report"]["text"] == "The lungs are clear."
    assert body["model"] == "fake-1"
    assert body["image"]["source"] == "png"
    assert (body["image"]["width"], body["image"]["height"]) == (300, 280)
    assert body["finish_reason"] == "stop"
    assert body["usage"]["image_tokens"] == 256
    assert {"decode", "encode", "generate", "total"} <= set(body["timings"])
    assert "not a medical device" in body["notice"].lower()


async def test_the_prompt_holds_the_codes_of_the_image_that_was_sent(service: Service) -> None:
    tokens = (await service.client.post("/v1/images/tokens", files={"image": PNG})).json()["tokens"]
    await service.client.post("/v1/reports", files={"image": PNG})
    vocabulary = service.bundle.vocabulary
    in_prompt = [i for i in service.engine.generations[-1].prompt if i >= vocabulary.image_offset]
    assert vocabulary.codes(in_prompt) == tokens


async def test_text_plain_gives_the_report_alone(service: Service) -> None:
    response = await service.client.post("/v1/reports", files={"image": PNG}, headers={"Accept": "text/plain"})
    assert response.text == "The lungs are clear.\n"
    assert response.headers["content-type"].startswith("text/plain")


async def test_an_unknown_representation_is_406(service: Service) -> None:
    response = await service.client.post("/v1/reports", files={"image": PNG}, headers={"Accept": "image/gif"})
    assert response.status_code == 406
    assert response.json()["code"] == "not_acceptable"


async def test_findings_and_impression_are_told_apart(settings: Settings) -> None:
    async with running(settings) as service:
        service.engine.text = "FINDINGS: The lungs are clear.\nIMPRESSION: Normal chest."
        report = (await service.client.post("/v1/reports", files={"image": PNG})).json()["report"]
        assert report["findings"] == "The lungs are clear."
        assert report["impression"] == "Normal chest."


async def test_several_questions_cost_one_encode(service: Service) -> None:
    response = await service.client.post(
        "/v1/answers", files={"image": PNG}, data={"question": ["Is there pneumonia?", "What is the view?"]}
    )
    assert response.status_code == 200
    assert [item["question"] for item in response.json()["answers"]] == ["Is there pneumonia?", "What is the view?"]
    assert service.codec.encoded == 1


@pytest.mark.parametrize(("given", "expected"), [({}, None), ({"probabilities": "true"}, 0.5)])
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_closed_questions_get_a_probability_where_it_is_asked_for(
    service: Service, given: dict[str, str], expected: float | None, accept: str
) -> None:
    data = {"question": ["Is there pneumonia?", "What is the view?"], **given}
    response = await service.client.post("/v1/answers", files={"image": PNG}, data=data, headers={"Accept": accept})
    last = [line for line in response.text.splitlines() if "pneumonia" in line][-1].removeprefix("data: ")
    assert [item.get("probability") for item in json.loads(last)["answers"]] == [expected, None]


async def test_the_seed_of_a_request_reaches_the_engine(service: Service) -> None:
    body = (await service.client.post("/v1/reports", files={"image": PNG}, data={"seed": "7"})).json()
    assert body["seed"] == 7
    assert service.engine.generations[-1].sampling.seed == 7


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"temperature": "3"}, "temperature"),
        ({"seed": "-2"}, "seed"),
        ({"max_tokens": "0"}, "max_tokens"),
        ({"max_tokens": "100000"}, "max_tokens"),
        ({"surprise": "1"}, "surprise"),
    ],
)
async def test_a_field_out_of_bounds_or_unknown_is_400_and_named(
    service: Service, data: dict[str, str], field: str
) -> None:
    response = await service.client.post("/v1/reports", files={"image": PNG}, data=data)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert field in response.json()["detail"]


async def test_a_long_instruction_is_400(service: Service) -> None:
    response = await service.client.post("/v1/answers", files={"image": PNG}, data={"question": "x" * 100_000})
    assert response.status_code == 400
    assert response.json()["code"] == "prompt_too_long"


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 400, "empty"),
        (b"PK\x03\x04" + b"\0" * 200, 415, "not_an_image"),
        (encoded(gradient(64, 63)), 422, "too_small"),
        (encoded(gradient(), "JPEG")[:2000], 400, "damaged_image"),
    ],
)
async def test_what_is_not_a_radiograph_is_refused_and_the_next_one_works(
    service: Service, data: bytes, status: int, code: str
) -> None:
    response = await service.client.post("/v1/reports", files={"image": data})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert (await service.client.post("/v1/reports", files={"image": PNG})).status_code == 200


async def test_json_instead_of_a_form_is_415(service: Service) -> None:
    response = await service.client.post("/v1/reports", json={"image": base64.b64encode(PNG).decode()})
    assert response.status_code == 415


async def test_a_form_without_an_image_is_400(service: Service) -> None:
    response = await service.client.post("/v1/reports", files={"other": PNG})
    assert response.status_code == 400
    assert "image" in response.json()["detail"]


async def test_an_upload_over_the_limit_is_413_by_its_length_and_while_it_streams(settings: Settings) -> None:
    small = settings.model_copy(update={"limits": LimitsSettings(max_upload_mb=1)})
    async with running(small) as service:
        declared = await service.client.post("/v1/reports", files={"image": b"\0" * 2_000_000})

        async def chunks():  # type: ignore[no-untyped-def]
            yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
            for _ in range(40):
                yield b"\0" * 100_000

        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        streamed = await service.client.post("/v1/reports", content=chunks(), headers=headers)
    for response in (declared, streamed):
        assert response.status_code == 413
        assert response.json()["code"] == "too_large"


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (Overloaded("full"), 429),
        (WorkerFailed("failed"), 500),
        (EngineDead("gone"), 503),
    ],
)
async def test_a_failing_engine_becomes_its_status_with_retry_after(
    service: Service, failure: Exception, status: int
) -> None:
    service.engine.enqueue_failure(failure)  # type: ignore[arg-type]
    response = await service.client.post("/v1/reports", files={"image": PNG})
    assert response.status_code == status
    assert ("retry-after" in response.headers) is (status in (429, 503))


async def test_a_request_past_its_deadline_is_504(settings: Settings) -> None:
    hasty = settings.model_copy(update={"limits": LimitsSettings(deadline_seconds=0.05)})
    async with running(hasty) as service:
        service.engine.step_seconds = 5.0
        response = await service.client.post("/v1/reports", files={"image": PNG})
        assert response.status_code == 504
        assert service.engine.running == 0


async def test_errors_carry_the_request_id_that_came_in(service: Service) -> None:
    response = await service.client.post("/v1/reports", files={"image": b""}, headers={"X-Request-Id": "abc-1"})
    assert response.headers["x-request-id"] == "abc-1"
    assert response.json()["request_id"] == "abc-1"


async def test_a_request_id_that_could_break_a_log_is_replaced(service: Service) -> None:
    response = await service.client.get("/livez", headers={"X-Request-Id": "a b\tc"})
    assert response.headers["x-request-id"] != "a b\tc"


async def test_a_form_field_that_is_no_utf8_is_400(service: Service) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="question"\r\n\r\n\xff\xfe\r\n--b--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = await service.client.post("/v1/answers", content=body, headers=headers)
    assert response.status_code == 400


async def test_a_report_on_a_dicom_image_is_offered_as_sr_and_fhir(service: Service) -> None:
    import io

    import pydicom

    from app.dicom.sample import sample_dicom

    files = {"image": ("x", sample_dicom())}
    answer = await service.client.post("/v1/reports", files=files, headers={"Accept": "application/dicom"})
    assert answer.headers["content-type"] == "application/dicom"
    report = pydicom.dcmread(io.BytesIO(answer.content))
    assert (report.Modality, report.VerificationFlag) == ("SR", "UNVERIFIED")
    answer = await service.client.post("/v1/reports", files=files, headers={"Accept": "application/fhir+json"})
    assert answer.json()["resourceType"] == "DiagnosticReport"
    png = {"image": ("x", encoded(gradient()))}
    answer = await service.client.post("/v1/reports", files=png, headers={"Accept": "application/dicom"})
    assert answer.status_code == 406
