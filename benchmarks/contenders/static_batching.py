"""A static-batching server: LitServe collects requests for a moment, the batch generates to its end, then decodes.

    POST /predict {"prompt": [ids], "seed": 1} -> {"codes": [...], "png": base64}     GET /health

One set of sampling parameters serves all, and a batch has one random state, that of its first seed: `generate` knows
no seed per row.
"""

import base64
import io
from pathlib import Path
from typing import Any

import litserve
import numpy as np
import torch
from PIL import Image

from benchmarks.contenders.decoding import Decoder
from benchmarks.contenders.huggingface import Sampler
from models.bundle import load

Requested = tuple[list[int], int]
Drawn = tuple[list[int], np.ndarray | None]


class StaticBatches(litserve.LitAPI):  # type: ignore[misc]
    """Draws batches of up to eight requests that arrive within 50 ms."""

    def __init__(
        self, bundle: Path, threads: int, *, temperature: float = 1.0, top_p: float = 0.92, decode: bool = True
    ) -> None:
        super().__init__(max_batch_size=8, batch_timeout=0.05)
        self._folder, self._threads = bundle, threads
        self._temperature, self._top_p, self._decode = temperature, top_p, decode

    def setup(self, device: str) -> None:
        """Load the model in the worker's process."""
        torch.set_num_threads(self._threads)
        bundle = load(self._folder)
        self._count = bundle.image_tokens
        self._sampler = Sampler(bundle, device)
        self._decoder = Decoder(bundle, device)

    def decode_request(self, request: dict[str, Any]) -> Requested:
        """Token ids and seed of a request."""
        return [int(token) for token in request["prompt"]], int(request["seed"])

    def batch(self, inputs: list[Requested]) -> list[Requested]:
        """The requests as they are: `Sampler` pads them."""
        return inputs

    def predict(self, x: list[Requested]) -> list[Drawn]:
        """Draw a batch: codes, and pixels where decoding is on."""
        prompts = [prompt for prompt, _ in x]
        codes = self._sampler.images(
            prompts, self._count, temperature=self._temperature, top_p=self._top_p, seed=x[0][1]
        )
        pixels = list(self._decoder.decode(codes)) if self._decode else [None] * len(codes)
        return list(zip(codes, pixels, strict=True))

    def unbatch(self, output: list[Drawn]) -> list[Drawn]:
        """One drawing for each request."""
        return output

    def encode_response(self, output: Drawn) -> dict[str, Any]:
        """A drawing as JSON."""
        codes, pixels = output
        if pixels is None:
            return {"codes": codes}
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return {"codes": codes, "png": base64.b64encode(buffer.getvalue()).decode()}


def serve(api: StaticBatches, device: str, port: int) -> None:
    """Serve on 127.0.0.1 until interrupted: one HTTP process, one worker on the device, no time limit on requests."""
    # LitServe 0.2.19 mistakes an installed `mcp` for `fastmcp` and fails on it; this server needs no MCP.
    litserve.server._MCP_AVAILABLE = False
    server = litserve.LitServer(api, accelerator=device, devices=1, workers_per_device=1, timeout=False)
    server.run(host="127.0.0.1", port=port, num_api_servers=1, generate_client_file=False, log_level="warning")
