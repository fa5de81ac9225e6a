"""Another value means something else, wherever it is and however small the difference."""

import struct
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.support.values import VALUES, digest, digest_of, encoded, full


@pytest.fixture(scope="module")
def expected() -> str:
    """The digest of the full data set."""
    return digest_of(full())


@pytest.mark.parametrize("nested", [False, True], ids=["top", "item"])
@pytest.mark.parametrize("vr", VALUES)
def test_another_value_means_something_else(expected: str, vr: str, nested: bool) -> None:
    keyword, _, other = VALUES[vr]
    for change in (lambda one: setattr(one, keyword, other), lambda one: delattr(one, keyword)):
        dataset = full()
        change(dataset.RequestAttributesSequence[0] if nested else dataset)
        assert digest_of(dataset) != expected


@pytest.mark.parametrize("element", [0x01, 0x02, 0x03, 0x04])
def test_another_private_value_means_something_else(expected: str, element: int) -> None:
    other: dict[int, Any] = {1: "Odd text", 2: 514, 3: b"\1\2\3\5", 4: Sequence([Dataset()])}
    dataset = full()
    dataset[0x00291000 + element].value = other[element]
    assert digest_of(dataset) != expected


def test_values_that_move_between_elements_or_items_mean_something_else(expected: str) -> None:
    dataset = full()
    dataset.RequestAttributesSequence = Sequence(list(dataset.RequestAttributesSequence)[::-1])
    assert digest_of(dataset) != expected
    dataset = full()
    del dataset.RequestAttributesSequence[1]
    assert digest_of(dataset) != expected
    one, other = full(), full()
    one.InstitutionName, one.StationName = "AB", "C"
    other.InstitutionName, other.StationName = "A", "BC"
    assert digest_of(one) != digest_of(other)


@pytest.mark.parametrize(
    ("vr", "one", "other"),
    [
        ("US", 0, 32), ("US", 0, 8192), ("US", 32, 0x2020), ("UL", 1, 8193), ("SS", [1, 0], [1]),
        ("OB", b"\1\0", b"\1\x20"), ("FL", 0.0, None), ("LO", "a", "b"), ("DS", "1_00", "100"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("implicit", [False, True], ids=["explicit", "implicit"])
def test_private_values_that_differ_in_bytes_that_look_like_padding_differ(
    vr: str, one: Any, other: Any, implicit: bool
) -> None:
    found = []
    for value in (one, other):
        dataset = full()
        if value is not None:
            dataset.private_block(0x0029, "MAKER").add_new(0x10, vr, value)
        found.append(digest(encoded(dataset, implicit=implicit), implicit=implicit))
    assert found[0] != found[1]


CASES = {
    "Latin-1 under UTF-8": ("ISO_IR 192", "Müller".encode("latin-1"), "Möller".encode("latin-1")),
    "GBK under UTF-8": ("ISO_IR 192", "张三".encode("gbk"), "李四".encode("gbk")),
    "broken GB18030": ("GB18030", b"A\xff\xffB", b"A\xff\xfeB"),
    "Latin-1 under none": ("", "Müller".encode("latin-1"), "Möller".encode("latin-1")),
}


@pytest.mark.parametrize("vr", ["PN", "LO"])
@pytest.mark.parametrize(("terms", "one", "other"), CASES.values(), ids=CASES)
def test_texts_that_cannot_be_decoded_differ_by_their_bytes(vr: str, terms: str, one: bytes, other: bytes) -> None:
    tag = {"PN": (0x0010, 0x0010), "LO": (0x0008, 0x0080)}[vr]

    def with_value(value: bytes) -> bytes:
        value += b" " * (len(value) % 2)
        head = struct.pack("<HH2sH", 0x0008, 0x0005, b"CS", len(terms)) + terms.encode()
        return head + struct.pack("<HH2sH", *tag, vr.encode(), len(value)) + value

    assert digest(with_value(one)) != digest(with_value(other))
    assert digest(with_value(one)) == digest(with_value(one + b"  "))


@pytest.mark.parametrize("value", [b"1.2.3.4 ", b"abc ", b"1e9999", b"NaN ", b"1.0\\"])
def test_a_number_that_is_none_is_compared_as_text(value: bytes) -> None:
    def with_value(value: bytes) -> bytes:
        return struct.pack("<HH2sH", 0x0018, 0x1152, b"DS", len(value)) + value

    assert digest(with_value(value)) == digest(with_value(value + b" " * 2))
    assert digest(with_value(value)) != digest(with_value(b"9" + value + b" "))
