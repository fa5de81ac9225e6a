"""The codec on a small VQ-GAN."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import torch

from app.codec.worker import VqganCodec
from app.errors import CodecDead, WorkerFailed
from app.settings import CodecSettings
from models.vqgan import VQGAN, VQGANConfig
from tests.support.service import bundle_in_memory

CONFIG = VQGANConfig(
    resolution=256,
    in_channels=1,
    out_ch=1,
    ch=8,
    ch_mult=(1, 1, 1, 1, 1),
    num_res_blocks=1,
    z_channels=8,
    embed_dim=4,
    n_embed=1024,
    norm_groups=4,
)


@pytest.fixture
async def codec(tmp_path: Path) -> AsyncIterator[VqganCodec]:
    torch.manual_seed(0)
    VQGAN(CONFIG).save(tmp_path / "vqgan")
    started = VqganCodec(dataclasses.replace(bundle_in_memory(), path=tmp_path), CodecSettings())
    await started.start()
    yield started
    await started.close()


async def test_the_same_image_has_the_same_codes_whatever_the_batch(codec: VqganCodec) -> None:
    images = np.random.default_rng(0).integers(0, 255, (12, 256, 256)).astype(np.uint8)
    alone = [await codec.encode(image) for image in images]
    together = await asyncio.gather(*(codec.encode(image) for image in images))
    assert alone == list(together)
    assert all(len(codes) == 256 for codes in alone)


async def test_the_same_codes_have_the_same_image_whatever_the_batch(codec: VqganCodec) -> None:
    codes = np.random.default_rng(0).integers(0, 1024, (5, 256)).tolist()
    alone = [await codec.decode(row) for row in codes]
    together = await asyncio.gather(*(codec.decode(row) for row in codes))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))
    assert alone[0].dtype == np.uint8


async def test_a_request_it_cannot_do_fails_and_the_next_one_works(codec: VqganCodec) -> None:
    with pytest.raises(WorkerFailed):
        await codec.decode([5000] * 256)
    assert (await codec.decode([5] * 256)).shape == (256, 256)


async def test_after_closing_requests_are_told_that_it_is_gone(codec: VqganCodec) -> None:
    await codec.close()
    assert not codec.alive
    with pytest.raises(CodecDead):
        await codec.decode([5] * 256)


async def test_a_bundle_without_weights_does_not_start(tmp_path: Path) -> None:
    codec = VqganCodec(dataclasses.replace(bundle_in_memory(), path=tmp_path), CodecSettings())
    with pytest.raises(CodecDead):
        await codec.start()
    await codec.close()
