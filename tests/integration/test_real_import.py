"""Files of the published geometry, imported and served by the real engine."""

from pathlib import Path

import httpx
import pytest
from tokenizers import Tokenizer

from app.dicom.sample import sample_dicom
from models.importers import import_bundle
from tests.support.published import source_in, write_llm, write_vqgan
from tests.support.served import start
from tests.support.service import SHARED

pytestmark = pytest.mark.engine
DOLLY = SHARED / "dolly-tokenizer" / "tokenizer.json"


@pytest.mark.slow
def test_a_bundle_of_51305_rows_is_served(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    if not DOLLY.exists():
        pytest.skip("the published tokenizer is not here")
    write_vqgan(tmp_path, codes=1024)
    write_llm(tmp_path / "llm", tokenizer=Tokenizer.from_file(str(DOLLY)), codes=1024)
    manifest = import_bundle(source_in(tmp_path), tmp_path / "bundle")
    assert manifest.vocabulary.text_size + manifest.vocabulary.codebook_size == 51305
    # Too long for a Unix socket: the engine has to find another place for its own.
    others = set(Path("/tmp").glob("cxr-*"))
    service = start(tmp_path_factory.mktemp("r" * 90), CXR_BUNDLE=str(tmp_path / "bundle"))
    try:
        with httpx.Client(base_url=service.url, timeout=120) as client:
            image = {"image": sample_dicom()}
            tokens = client.post("/v1/images/tokens", files=image).json()["tokens"]
            assert len(tokens) == 256
            text = client.post("/v1/reports", files=image, data={"max_tokens": "32"})
            assert text.status_code == 200, text.text
            drawn = client.post("/v1/images/generations", json={"prompt": "### End <image>", "seed": 1})
            assert drawn.status_code == 200, drawn.text
            assert drawn.json()["usage"]["output_tokens"] == 256
    finally:
        assert service.stop() == 0
    assert set(Path("/tmp").glob("cxr-*")) <= others
