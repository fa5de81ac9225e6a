"""Instructor, on OpenAI's client."""

import instructor
import openai
from harness import BARE, MODEL, QUESTION, REPORT, SERVICE, case, refused, run
from instructor.core import InstructorRetryException
from pydantic import BaseModel

OPENAI = openai.OpenAI(base_url=f"{SERVICE}/v1", api_key="unused", max_retries=0)


class Finding(BaseModel):
    """An answer that instructor would have in a structure."""

    pneumonia: bool


def ask(mode: instructor.Mode, response_model: type[BaseModel] | None, messages: list[dict] = QUESTION) -> object:
    client = instructor.from_openai(OPENAI, mode=mode)
    return client.chat.completions.create(model=MODEL, messages=messages, response_model=response_model, max_retries=0)


@case("without a structure a question is answered")
def _() -> None:
    assert ask(instructor.Mode.TOOLS, None).choices[0].message.content == REPORT


@case("a structure by tools or by a schema is refused by its name, not answered without it")
def _() -> None:
    for mode, field in {
        instructor.Mode.TOOLS: "tools",
        instructor.Mode.JSON: "response_format",
        instructor.Mode.JSON_SCHEMA: "response_format",
    }.items():
        words = refused(lambda: ask(mode, Finding), InstructorRetryException)  # noqa: B023
        assert f"{field}: is not offered here" in words


@case("a structure by words alone is asked for, and instructor sees that the answer has none")
def _() -> None:
    words = refused(lambda: ask(instructor.Mode.MD_JSON, Finding), InstructorRetryException)
    assert f"input_value='{REPORT}'" in words


@case("errors are told in the service's words")
def _() -> None:
    assert "there is no image" in refused(lambda: ask(instructor.Mode.MD_JSON, Finding, BARE), InstructorRetryException)


if __name__ == "__main__":
    run()
