"""The key of an installation's watermark in drawings: the operator's, or one that the installation makes."""

import secrets
from pathlib import Path

from app.private_file import made_once
from app.settings import DrawSettings
from models.watermark import Watermark

_FILE = "watermark.key"
_KEY_BYTES = 32


def watermark_of(settings: DrawSettings, state_dir: Path) -> Watermark:
    """The mark that drawings get and pictures are looked at for; of strength 0, nothing is marked. Raises OSError.

    Whoever knows the key can mark and unmark pictures. Nodes that shall know each other's drawings share one.
    """
    if settings.watermark_key is not None:
        key = settings.watermark_key.get_secret_value().encode()
    else:
        key = made_once(state_dir / _FILE, lambda: secrets.token_bytes(_KEY_BYTES))
    return Watermark(key, settings.watermark_strength)
