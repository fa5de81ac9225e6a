"""Texts of bulk data are UTF-8, whatever character set they came in."""

import io
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.app.imaging.test_transcode import bulk
from tests.support.studies import instance, parsed


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=str)
@pytest.mark.parametrize(
    ("terms", "text"),
    [
        ("ISO_IR 100", "Größe"),
        ("ISO_IR 144", "Лёгкие"),
        ("ISO_IR 192", "肺野 ü"),
        ("GB18030", "双肺清晰"),
        (["", "ISO 2022 IR 87"], "両肺野\r\n異常なし"),
        ("ISO_IR 13", "ﾊｲ"),
    ],
    ids=str,
)
def test_a_text_of_bulk_data_is_utf8_whatever_its_data_set_or_item_states(syntax: str, terms: Any, text: str) -> None:
    dataset, inheriting, stating = parsed(instance()), Dataset(), Dataset()
    dataset.SpecificCharacterSet, stating.SpecificCharacterSet = terms, "ISO_IR 192"
    inheriting.TextValue = stating.TextValue = dataset.ImageComments = text * 2
    dataset.ContentSequence = [inheriting, stating]
    buffer = io.BytesIO()
    dataset.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(buffer, dataset, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    for path in ("00204000", "0040A730/0/0040A160", "0040A730/1/0040A160"):
        assert bulk(buffer.getvalue(), path).decode().rstrip() == text * 2, path
