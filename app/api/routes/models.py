"""OpenAI's list of models: the one bundle."""

from fastapi import APIRouter, Request

from app.api.http.requests import services_of
from app.api.http.responses import openai_errors
from app.api.schemas.images import ModelItem, ModelList
from app.errors import NotFound
from app.inference.backend import Services

router = APIRouter(prefix="/v1/models", tags=["service"])


def check_model(name: str | None, services: Services) -> None:
    """Refuse any other model than the one that is served. Raises NotFound."""
    manifest = services.bundle.manifest
    if name is not None and name not in (manifest.label, manifest.name):
        raise NotFound(f"This server has the model {manifest.label}.", code="model_not_found")


def _item(services: Services) -> ModelItem:
    manifest = services.bundle.manifest
    return ModelItem(id=manifest.label, created=services.bundle.created, owned_by=manifest.name)


@router.get("", responses=openai_errors(), summary="The models that are served")
async def models(request: Request) -> ModelList:
    """The one bundle."""
    return ModelList(data=[_item(services_of(request))])


@router.get("/{model}", responses=openai_errors(404), summary="One model")
async def model(model: str, request: Request) -> ModelItem:
    """The bundle by its name, with or without its version."""
    services = services_of(request)
    check_model(model, services)
    return _item(services)
