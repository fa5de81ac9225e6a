"""Forms are read as their models say."""

from support import Service, encoded, gradient

from app.api.forms import form_body
from app.schemas.readings import AnswerForm

URL = "/v1/reports"


async def test_a_field_that_nobody_filled_in_counts_as_not_given(service: Service) -> None:
    fields = {"temperature": "", "instruction": "", "seed": "7"}
    response = await service.client.post(URL, files={"image": encoded(gradient())}, data=fields)
    assert response.status_code == 200, response.text
    assert response.json()["seed"] == 7


async def test_text_in_the_place_of_a_file_is_400_and_named(service: Service) -> None:
    response = await service.client.post(URL, files={"image": (None, "no file"), "seed": (None, "1")})
    assert response.status_code == 400
    assert response.json()["detail"].startswith("image: ")
    nothing = await service.client.post(URL, files={"image": (None, ""), "seed": (None, "1")})
    assert nothing.json()["detail"] == "image: Field required"


async def test_a_list_takes_every_part_of_its_name_and_a_value_the_last(service: Service) -> None:
    parts = [("image", ("a.png", encoded(gradient()))), ("seed", (None, "1")), ("seed", (None, "2"))]
    questions = [("question", (None, "One?")), ("question", (None, "Two?"))]
    response = await service.client.post("/v1/answers", files=[*parts, *questions])
    assert response.status_code == 200, response.text
    answers = response.json()["answers"]
    assert [answer["question"] for answer in answers] == ["One?", "Two?"]
    assert [answer["seed"] for answer in answers] == [2, 3]


async def test_a_large_upload_that_went_to_disk_is_read_whole(service: Service) -> None:
    image = encoded(gradient())
    padded = image + bytes(3_000_000)  # the framework keeps a megabyte in memory
    response = await service.client.post("/v1/images/tokens", files={"image": padded})
    assert response.status_code == 200, response.text


def test_the_document_shows_the_form_and_its_upload() -> None:
    (content,) = form_body(AnswerForm)["requestBody"]["content"].items()
    assert content[0] == "multipart/form-data"
    schema = content[1]["schema"]
    assert schema["properties"]["image"]["contentMediaType"] == "application/octet-stream"
    assert sorted(schema["required"]) == ["image", "question"]
    assert "$defs" not in schema
