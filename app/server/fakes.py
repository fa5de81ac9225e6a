"""The service on fakes, as a process: real HTTP, DIMSE, database and workflows; engine, codec and decoder are fakes.

`python -m app.server.fakes --port N [--state-dir DIR] [--decoders]` and how the engine behaves; everything else by
CXR_* variables. Tests kill it, benchmarks measure the gateway with it.
"""

import argparse
import faulthandler
import functools
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from app.codec.fake import FakeCodec
from app.engine.fake import FakeEngine
from app.imaging import InlineReader, Sandbox
from app.main import create_app
from app.screening.fake import FakeScreen
from app.server.descriptors import raise_limit
from app.server.process import write_for_owner_alone
from app.server.run import Server, run
from app.settings import load_settings
from app.telemetry import logs
from models.bundle import load

ENGINE_DIES, CODEC_DIES = signal.SIGUSR2, signal.SIGRTMIN


def _die(part: FakeEngine | FakeCodec, *_: object) -> None:
    part.alive = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped; returns the exit status.

    SIGUSR1 writes the stacks of all threads to standard error; ENGINE_DIES and CODEC_DIES are what they say.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state-dir", type=Path)
    parser.add_argument("--decoders", action="store_true", help="decode in confined processes, as the service does")
    parser.add_argument("--step-seconds", type=float, default=0.0, help="time of one engine step")
    parser.add_argument("--chunk", type=int, default=16, help="tokens of one engine step")
    parser.add_argument("--aborts-after", type=int, help="steps after which the engine breaks a generation off")
    given = parser.parse_args(arguments)
    logs.configure()
    write_for_owner_alone()
    raise_limit()
    faulthandler.register(signal.SIGUSR1, file=2)
    settings = load_settings(port=given.port, state_dir=given.state_dir)
    bundle = load(settings.bundle)
    image = bundle.manifest.image
    codebook_size = bundle.manifest.vocabulary.codebook_size
    engine = FakeEngine(bundle.vocabulary, step_seconds=given.step_seconds, chunk=given.chunk)
    engine.aborts_after = given.aborts_after
    codec = FakeCodec(size=image.size, grid=image.grid, codebook_size=codebook_size)
    reader = (Sandbox if given.decoders else InlineReader)(settings.imaging, image.size)
    for number, part in ((ENGINE_DIES, engine), (CODEC_DIES, codec)):
        signal.signal(number, functools.partial(_die, part))
    app = create_app(settings, bundle=bundle, engine=engine, codec=codec, screen=FakeScreen(), reader=reader)
    return run(Server(app, settings).serve())


if __name__ == "__main__":
    sys.exit(main())
