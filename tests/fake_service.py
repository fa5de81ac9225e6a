"""`cxr serve` on the fakes, as a process that can be killed: the durable part is real, the model is not.

Usage: python fake_service.py PORT; everything else comes from CXR_* variables.
"""

import faulthandler
import os
import signal
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

from support import bundle_in_memory  # noqa: E402

from app.codec.fake import FakeCodec  # noqa: E402
from app.engine.fake import FakeEngine  # noqa: E402
from app.imaging import InlineReader  # noqa: E402
from app.main import create_app  # noqa: E402
from app.server.run import Server, run  # noqa: E402
from app.settings import load_settings  # noqa: E402
from app.telemetry import logs  # noqa: E402


def main() -> int:
    """Serve until stopped."""
    logs.configure()
    faulthandler.register(signal.SIGUSR1, file=2)
    settings = load_settings(port=int(sys.argv[1]))
    bundle = bundle_in_memory()
    app = create_app(
        settings,
        bundle=bundle,
        engine=FakeEngine(bundle.vocabulary, step_seconds=float(os.environ.get("FAKE_STEP_SECONDS", "0"))),
        codec=FakeCodec(),
        reader=InlineReader(settings.imaging, 256),
    )
    return run(Server(app, settings).serve())


if __name__ == "__main__":
    sys.exit(main())
