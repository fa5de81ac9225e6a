"""Content Credentials (C2PA 2.2): a signed manifest in a drawing that says what made it."""

import io
import threading
from collections.abc import Callable
from pathlib import Path

import c2pa
from PIL import Image

from app.dicom.secondary_capture import Provenance
from app.errors import CxrError
from app.provenance.credentials import Credentials
from app.provenance.xmp import SYSTEM, TRAINED_ALGORITHMIC_MEDIA
from app.settings import DrawSettings

# A thumbnail would be three times as large as the picture.
_BUILDER = {"thumbnail": {"enabled": False}}
_REFUSED = "Drawings cannot be signed with this certificate"

Sign = Callable[[bytes, str, Provenance], bytes]
"""Signs a file of a media type."""


class ContentCredentials:
    """Signs drawings. May be used by several threads."""

    def __init__(self, credentials: Credentials) -> None:
        """Raises CxrError where the certificate is none that may sign."""
        try:
            self._signer = c2pa.Signer.from_info(
                c2pa.C2paSignerInfo(
                    alg=credentials.algorithm.encode(),
                    sign_cert=credentials.certificates,
                    private_key=credentials.key,
                    ta_url=None,
                )
            )
        except c2pa.C2paError as error:
            raise _refused(error) from error
        self._lock = threading.Lock()
        # Reading back what was signed takes as long as signing. What it would find, such as a certificate for another
        # purpose, is found here; the time for which a certificate is valid is looked at with each signature.
        self._context = _context(verified=True)
        self.sign(_probe(), "image/png", Provenance("", ""))
        self._context = _context(verified=False)

    @classmethod
    def from_settings(cls, settings: DrawSettings, state_dir: Path) -> "ContentCredentials | None":
        """Those of an installation, None where it does not sign. Raises CxrError, OSError."""
        if not settings.signed:
            return None
        if settings.certificate is not None and settings.key is not None:
            return cls(Credentials.from_files(settings.certificate, settings.key))
        return cls(Credentials.self_made(state_dir))

    def sign(self, data: bytes, media_type: str, provenance: Provenance) -> bytes:
        """A PNG, JPEG or WebP file with a manifest; its pixels and other metadata stay.

        Raises CxrError where the certificate is valid no more.
        """
        signed = io.BytesIO()
        with self._lock:
            builder = c2pa.Builder(_manifest(media_type, provenance), self._context)
            try:
                builder.sign(self._signer, media_type, io.BytesIO(data), signed)
            except c2pa.C2paError as error:
                raise _refused(error) from error
            finally:
                builder.close()
        return signed.getvalue()


def _context(*, verified: bool) -> c2pa.Context:
    settings = {"builder": _BUILDER, "verify": {"verify_after_sign": verified}}
    return c2pa.Context(settings=c2pa.Settings.from_dict(settings))


def _probe() -> bytes:
    picture = io.BytesIO()
    Image.new("L", (1, 1)).save(picture, "PNG")
    return picture.getvalue()


def _refused(error: c2pa.C2paError) -> CxrError:
    return CxrError(f"{_REFUSED}. {error}.", code="credentials_refused")


def _manifest(media_type: str, provenance: Provenance) -> dict[str, object]:
    created = {
        "action": "c2pa.created",
        "digitalSourceType": TRAINED_ALGORITHMIC_MEDIA,
        "softwareAgent": {"name": provenance.model, "version": provenance.bundle_sha256[:12]},
        "description": provenance.sentence,
    }
    return {
        "claim_generator_info": [{"name": SYSTEM}],
        "title": "Synthetic chest radiograph",
        "format": media_type,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
    }
