"""What a stranger's file says of itself, by IPTC's terms in its XMP packet."""

import io
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.api.render import render
from app.dicom.secondary_capture import Provenance
from app.provenance.reading import digital_source_type
from app.provenance.xmp import packet

PIXELS = np.zeros((64, 64), np.uint8)
URI = b"http://cv.iptc.org/newscodes/digitalsourcetype/"


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_drawings_of_the_service_say_that_a_model_made_them(output_format: Any) -> None:
    data = render(PIXELS, output_format, Provenance("llm-cxr 0.4", "ab" * 32))
    assert digital_source_type(data) == "trainedAlgorithmicMedia"


@pytest.mark.parametrize(
    ("packet", "term"),
    [
        (
            b"<Iptc4xmpExt:DigitalSourceType>" + URI + b"digitalCapture</Iptc4xmpExt:DigitalSourceType>",
            "digitalCapture",
        ),
        (b'<rdf:Description Iptc4xmpExt:DigitalSourceType="' + URI + b'algorithmicMedia"/>', "algorithmicMedia"),
        (b"<a:DigitalSourceType>\n  https" + URI[4:] + b"trainedAlgorithmicMedia", "trainedAlgorithmicMedia"),
        (b"<a:DigitalSourceType rdf:resource='" + URI + b"algorithmicMedia'/>", "algorithmicMedia"),
        (b"A picture of " + URI + b"trainedAlgorithmicMedia", None),
        (b"<DigitalSourceType>elsewhere", None),
        (b"", None),
    ],
)
def test_the_term_is_read_as_an_element_and_as_an_attribute(packet: bytes, term: str | None) -> None:
    assert digital_source_type(b"\x00\xff" * 100 + packet) == term


def test_a_file_without_a_packet_states_nothing() -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    assert digital_source_type(buffer.getvalue()) is None


def png_with(text: bytes, *, cut: int = 0) -> bytes:
    """A PNG whose XMP packet is compressed."""
    body = b"XML:com.adobe.xmp\0\x01\0\0\0" + zlib.compress(text)[: -cut or None]
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    whole = buffer.getvalue()
    chunk = len(body).to_bytes(4, "big") + b"iTXt" + body + zlib.crc32(b"iTXt" + body).to_bytes(4, "big")
    return whole[:33] + chunk + whole[33:]


def test_a_compressed_packet_is_read() -> None:
    data = png_with(packet(Provenance("llm-cxr 0.4", "ab" * 32), "A notice.").encode())
    assert b"DigitalSourceType" not in data
    assert digital_source_type(data) == "trainedAlgorithmicMedia"


@pytest.mark.parametrize(
    "data",
    [
        png_with(b"0" * (1 << 24)),
        png_with(b"nothing"),
        png_with(b"abc" * 99, cut=9),
        png_with(b"")[:40],
        b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffiTXt",
    ],
    ids=["bomb", "other text", "cut packet", "cut file", "false length"],
)
def test_a_strange_packet_states_nothing(data: bytes) -> None:
    assert digital_source_type(data) is None
