"""The jobs in reference decoding: as the published code samples, with an end to its retries."""

from pathlib import Path

from app.engine.protocol import Kind
from app.settings import EngineSettings, Settings
from tests.support.service import running


def reference(tmp_path: Path, attempts: int) -> Settings:
    return Settings(state_dir=tmp_path, engine=EngineSettings(decoding="reference", reference_attempts=attempts))


async def test_reference_decoding_draws_again_until_an_image_is_whole(tmp_path: Path) -> None:
    async with running(reference(tmp_path, 4)) as service:
        body = {"prompt": "Normal.", "seed": 4, "size": "256x256"}
        response = await service.client.post("/v1/images/generations", json=body)
        assert response.status_code == 200, response.text
        asked = service.engine.generations
        assert [generation.kind for generation in asked] == [Kind.ANY, Kind.ANY]
        assert [generation.sampling.seed for generation in asked] == [4, 5]
        assert asked[0].sampling.max_tokens == 300
        assert asked[0].prompt[-1] == service.bundle.vocabulary.response


async def test_reference_decoding_gives_up_with_a_sentence(tmp_path: Path) -> None:
    async with running(reference(tmp_path, 1)) as service:
        response = await service.client.post("/v1/images/generations", json={"prompt": "Normal.", "seed": 4})
        assert response.status_code >= 500
        assert "None of 1 unconstrained attempts" in response.text


async def test_constrained_decoding_asks_once_after_an_opened_span(tmp_path: Path) -> None:
    async with running(Settings(state_dir=tmp_path)) as service:
        await service.client.post("/v1/images/generations", json={"prompt": "Normal.", "seed": 4})
        (asked,) = service.engine.generations
        assert asked.kind is Kind.IMAGE
        assert asked.prompt[-1] == service.bundle.vocabulary.image_open
