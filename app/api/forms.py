"""Multipart forms as models, and how the OpenAPI document shows them.

The framework's own reading of a form model inspects the annotation of every field anew in every request, which is a
tenth of what the gateway does for one.
"""

from typing import Any, TypeVar, get_origin

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from app.api.requests import check_content_type

M = TypeVar("M", bound=BaseModel)
MULTIPART = "multipart/form-data"


def form_of(model: type[M]) -> Any:
    """A dependency that reads the request's form as `model`, uploads as their bytes.

    Raises UnsupportedMedia, MalformedInput, RequestValidationError, and what the framework does of a form that breaks
    off.
    """
    several = {name for name, field in model.model_fields.items() if get_origin(field.annotation) is list}

    async def read(request: Request) -> M:
        check_content_type(request, MULTIPART)
        given: dict[str, Any] = {}
        async with request.form() as form:
            for name in form:
                values = [
                    await value.read() if isinstance(value, UploadFile) else value for value in form.getlist(name)
                ]
                if name in several:
                    given[name] = values
                elif values[-1] != "":  # as pages send a field that nobody filled in
                    given[name] = values[-1]
        try:
            return model.model_validate(given)
        except ValidationError as error:
            raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in error.errors()]) from None

    return Depends(read)


def form_body(model: type[BaseModel]) -> dict[str, Any]:
    """The form in the OpenAPI document, as a route's `openapi_extra`."""
    schema = model.model_json_schema()
    return {"requestBody": {"content": {MULTIPART: {"schema": schema}}, "required": True}}
