"""What several tests build: a vocabulary without a model, an application on fakes, small images."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from app.codec.fake import FakeCodec
from app.engine.fake import FakeEngine
from app.imaging import InlineReader
from app.main import create_app
from app.screening.fake import FakeScreen
from app.settings import Settings
from models.bundle import Bundle, ImageSpec, Manifest, VocabularySpec
from models.prompts import Prompts
from models.vocabulary import SPECIAL_TOKENS, Vocabulary

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
CODEBOOK = 1024


def byte_tokenizer() -> Tokenizer:
    """A tokenizer of bytes and special tokens, in which `image` is one token, as the prompt format asks."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges, word = [], "i"
    for letter in "mage":
        merges.append((word, letter))
        word += letter
    entries = [*alphabet, *("im", "ima", "imag", "image")]
    tokenizer = Tokenizer(models.BPE({entry: number for number, entry in enumerate(entries)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return tokenizer


def byte_vocabulary() -> Vocabulary:
    """A vocabulary over `byte_tokenizer`."""
    tokenizer = byte_tokenizer()
    size = tokenizer.get_vocab_size()
    return Vocabulary.from_tokenizer(tokenizer, size, size, CODEBOOK)


def bundle_in_memory() -> Bundle:
    """A bundle without files, for the fakes."""
    vocabulary = byte_vocabulary()
    manifest = Manifest(
        schema_version=1,
        name="fake",
        version="1",
        intended_use="tests",
        licence="Apache-2.0",
        image=ImageSpec(size=256, channels=1, grid=(16, 16)),
        vocabulary=VocabularySpec(
            text_size=vocabulary.text_size, image_offset=vocabulary.image_offset, codebook_size=CODEBOOK
        ),
        prompt_format="llm-cxr",
        files={},
    )
    return Bundle(ROOT, manifest, vocabulary, Prompts(vocabulary), "0" * 64)


class Service:
    """An application on fakes, and a client for it."""

    def __init__(self, settings: Settings, **parts: Any) -> None:
        self.bundle = bundle_in_memory()
        vars(self.bundle)["copies"] = parts.pop("copies", None)
        declared = {name: parts.pop(name) for name in ("findings", "abnormal") if name in parts}
        vars(self.bundle)["manifest"] = self.bundle.manifest.model_copy(update=declared)
        self.engine: FakeEngine = parts.pop("engine", None) or FakeEngine(self.bundle.vocabulary)
        self.codec: FakeCodec = parts.pop("codec", None) or FakeCodec()
        self.reader = parts.pop("reader", None) or InlineReader(settings.imaging, 256)
        self.screen: FakeScreen = parts.pop("screen", None) or FakeScreen()
        durable = parts.pop("durable", False)
        self.app = create_app(
            settings,
            bundle=self.bundle,
            engine=self.engine,
            codec=self.codec,
            screen=self.screen,
            reader=self.reader,
            durable=durable,
        )
        self.client: httpx.AsyncClient = None  # type: ignore[assignment]


@contextlib.asynccontextmanager
async def running(settings: Settings, **parts: Any) -> AsyncIterator[Service]:
    """Start the application on fakes, wait until it is ready, stop it."""
    service = Service(settings, **parts)
    transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
    async with service.app.router.lifespan_context(service.app):
        async with asyncio.timeout(60):
            await service.app.state.service.lifecycle.settled.wait()
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            service.client = client
            yield service


def gradient(width: int = 300, height: int = 280, depth: int = 8) -> np.ndarray:
    """Grey values that rise from the top left to the bottom right: uint8 or uint16 (height, width)."""
    rows, columns = np.mgrid[0:height, 0:width]
    share = (rows / (height - 1) + columns / (width - 1)) / 2
    kind = np.uint8 if depth == 8 else np.uint16
    pixels: np.ndarray = (share * (2**depth - 1)).astype(kind)
    return pixels


def encoded(pixels: np.ndarray, image_format: str = "PNG") -> bytes:
    """An image file in memory."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, image_format)
    return buffer.getvalue()
