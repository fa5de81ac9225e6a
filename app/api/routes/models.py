"""OpenAI's list of models: the one bundle."""

from fastapi import APIRouter, Request

from app.api.http.responses import openai_errors
from app.api.schemas.models import ModelItem, ModelList
from app.api.state import state_of
from app.errors import NotFound
from app.inference.backend import Backend

router = APIRouter(prefix="/v1/models", tags=["service"])


def check_model(name: str | None, backend: Backend) -> None:
    """Refuse any other model than the one that is served. Raises NotFound."""
    manifest = backend.bundle.manifest
    if name is not None and name not in (manifest.label, manifest.name):
        raise NotFound(f"model: this server has {manifest.label}", code="model_not_found")


def _item(request: Request) -> ModelItem:
    state = state_of(request)
    backend = state.lifecycle.backend_when_ready()
    manifest = backend.bundle.manifest
    return ModelItem(
        id=manifest.label,
        created=backend.bundle.created,
        owned_by=manifest.name,
        max_model_len=backend.engine.max_model_len,
        max_tokens=state.settings.limits.max_text_tokens,
    )


@router.get("", responses=openai_errors(), summary="The models that are served")
async def models(request: Request) -> ModelList:
    """The one bundle."""
    return ModelList(data=[_item(request)])


@router.get("/{model}", responses=openai_errors(404), summary="One model")
async def model(model: str, request: Request) -> ModelItem:
    """The bundle by its name, with or without its version."""
    check_model(model, state_of(request).lifecycle.backend_when_ready())
    return _item(request)
