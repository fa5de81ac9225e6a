"""The XMP packet: well-formed whatever a model is called, and found where readers look for it."""

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from app.api.render import render
from app.dicom.secondary_capture import Provenance
from app.provenance.xmp import TRAINED_ALGORITHMIC_MEDIA, packet

_IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"


def found(xmp: str, name: str) -> str:
    """A property of a packet."""
    element = ElementTree.fromstring(xmp).find(f".//{name}")
    assert element is not None
    return element.text or ""


@pytest.mark.parametrize("model", ["llm-cxr 0.4", 'a <b> & "c"', "模型", "]]>"])
def test_a_packet_names_the_source_type_and_the_model(model: str) -> None:
    xmp = packet(Provenance(model, "ab" * 32, seed=7), "For research & more.")
    assert found(xmp, f"{_IPTC}DigitalSourceType") == TRAINED_ALGORITHMIC_MEDIA
    assert found(xmp, f"{_IPTC}AISystemVersionUsed") == model
    assert "seed 7" in xmp
    assert "For research &amp; more." in xmp


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_every_picture_carries_it_where_its_format_has_it(output_format: str) -> None:
    data = render(np.zeros((64, 64), np.uint8), output_format, Provenance("m", "ab" * 32))  # type: ignore[arg-type]
    with Image.open(io.BytesIO(data)) as image:
        xmp = image.info["xmp"] if output_format != "png" else image.info["XML:com.adobe.xmp"].encode()
    assert found(xmp.decode(), f"{_IPTC}DigitalSourceType") == TRAINED_ALGORITHMIC_MEDIA
