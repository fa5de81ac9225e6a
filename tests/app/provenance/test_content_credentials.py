"""Content Credentials: a manifest that C2PA's own reader finds valid, signed by the installation or its operator."""

import io
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import c2pa
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from PIL import Image
from pydantic import ValidationError

from app.api.render import MEDIA_TYPES, render
from app.dicom.secondary_capture import Provenance
from app.errors import CxrError
from app.provenance.content_credentials import ContentCredentials
from app.provenance.credentials import Credentials
from app.provenance.xmp import TRAINED_ALGORITHMIC_MEDIA
from app.settings import DrawSettings

PICTURES = ("png", "jpeg", "webp")
_PROVENANCE = Provenance("llm-cxr 0.4", "ab" * 32, seed=7, prompt_pseudonym="0123456789abcdef")
_PIXELS = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)


@pytest.fixture
def credentials(tmp_path: Path) -> ContentCredentials:
    """Those that an installation makes."""
    found = ContentCredentials.from_settings(DrawSettings(), tmp_path)
    assert found is not None
    return found


def read(data: bytes, output_format: str) -> dict[str, Any]:
    """What C2PA's reader finds."""
    found: dict[str, Any] = json.loads(c2pa.Reader(MEDIA_TYPES[output_format], io.BytesIO(data)).json())
    return found


@pytest.mark.parametrize("output_format", PICTURES)
def test_a_drawing_says_that_a_model_made_it_and_its_pixels_and_metadata_stay(
    credentials: ContentCredentials, output_format: Any
) -> None:
    plain = render(_PIXELS, output_format, _PROVENANCE)
    signed = render(_PIXELS, output_format, _PROVENANCE, credentials.sign)
    found = read(signed, output_format)
    assert found["validation_state"] == "Valid"
    # Valid, and by nobody whom the reader knows.
    assert {one["code"] for one in found["validation_status"]} == {"signingCredential.untrusted"}
    manifest = found["manifests"][found["active_manifest"]]
    actions = next(one for one in manifest["assertions"] if one["label"].startswith("c2pa.actions"))
    (action,) = actions["data"]["actions"]
    assert (action["action"], action["digitalSourceType"]) == ("c2pa.created", TRAINED_ALGORITHMIC_MEDIA)
    assert action["softwareAgent"]["name"] == "llm-cxr 0.4"
    with Image.open(io.BytesIO(plain)) as one, Image.open(io.BytesIO(signed)) as other:
        assert np.array_equal(np.asarray(one), np.asarray(other))
        for key in ("xmp", "XML:com.adobe.xmp", "Description", "exif"):
            assert one.info.get(key) == other.info.get(key)
    assert len(signed) - len(plain) < 8_000


@pytest.mark.parametrize("output_format", PICTURES)
def test_a_drawing_that_was_changed_is_not_valid(credentials: ContentCredentials, output_format: Any) -> None:
    signed = bytearray(render(_PIXELS, output_format, _PROVENANCE, credentials.sign))
    at = signed.index(b"Disclaimer") + 20 if output_format == "png" else signed.index(b"Synthetic image drawn by")
    signed[at] ^= 1
    assert read(bytes(signed), output_format)["validation_state"] == "Invalid"


def test_a_dicom_drawing_is_not_signed(credentials: ContentCredentials) -> None:
    assert render(_PIXELS, "dicom", _PROVENANCE, credentials.sign)[128:132] == b"DICM"


def test_an_installation_keeps_its_certificate_for_its_account_alone(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: Credentials.self_made(tmp_path), range(8)))
    assert len({one.key for one in made}) == len({one.certificates for one in made}) == 1
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_several_threads_sign_at_once(credentials: ContentCredentials) -> None:
    with ThreadPoolExecutor(8) as threads:
        files = list(threads.map(lambda _: render(_PIXELS, "png", _PROVENANCE, credentials.sign), range(24)))
    assert {read(one, "png")["validation_state"] for one in files} == {"Valid"}


def test_the_operators_certificate_is_used(tmp_path: Path) -> None:
    own = Credentials.self_made(tmp_path / "elsewhere")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(own.certificates)
    key.write_bytes(own.key)
    settings = DrawSettings(certificate=chain, key=key)
    made = ContentCredentials.from_settings(settings, tmp_path)
    assert made is not None
    assert read(render(_PIXELS, "png", _PROVENANCE, made.sign), "png")["validation_state"] == "Valid"
    assert not (tmp_path / "content-credentials.pem").exists()


@pytest.mark.parametrize("fault", ["missing", "rubbish", "another key", "expired", "another purpose"])
def test_a_certificate_that_cannot_sign_stops_the_start_in_words(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "expired":
        monkeypatch.setattr("app.provenance.credentials._YEARS", 0)
    if fault == "another purpose":
        monkeypatch.setattr("app.provenance.credentials._PURPOSE", ExtendedKeyUsageOID.SERVER_AUTH)
    own = Credentials.self_made(tmp_path / "elsewhere")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(own.certificates)
    if fault == "rubbish":
        key.write_bytes(b"rubbish")
    if fault == "another key":
        other = ec.generate_private_key(ec.SECP256R1())
        key.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(CxrError, match=r"CXR_DRAW__CERTIFICATE|signed with this certificate\. "):
        ContentCredentials.from_settings(DrawSettings(certificate=chain, key=key), tmp_path)


def test_signing_can_be_turned_off_and_half_a_certificate_is_none(tmp_path: Path) -> None:
    assert ContentCredentials.from_settings(DrawSettings(signed=False), tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValidationError, match="both"):
        DrawSettings(key=tmp_path)
