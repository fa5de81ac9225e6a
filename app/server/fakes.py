"""The gateway alone: the service on the fake engine, the fake codec and an unconfined reader, with the real everything
else. `python -m app.server.fakes --port N --state-dir DIR`; settings by CXR_* variables.
"""

import argparse
import sys
from pathlib import Path

from app.codec.fake import FakeCodec
from app.engine.fake import FakeEngine
from app.imaging import InlineReader
from app.main import create_app
from app.server.run import Server, run
from app.settings import load_settings
from app.telemetry import logs
from models.bundle import load


def main() -> int:
    """Serve until stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    given = parser.parse_args()
    logs.configure()
    settings = load_settings(port=given.port, state_dir=given.state_dir)
    bundle = load(settings.bundle)
    size = bundle.manifest.image.size
    app = create_app(
        settings,
        bundle=bundle,
        engine=FakeEngine(bundle.vocabulary),
        codec=FakeCodec(
            size=size, grid=bundle.manifest.image.grid, codebook_size=bundle.manifest.vocabulary.codebook_size
        ),
        reader=InlineReader(settings.imaging, size),
    )
    return run(Server(app, settings).serve())


if __name__ == "__main__":
    sys.exit(main())
