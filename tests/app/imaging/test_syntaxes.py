"""The list of transfer syntaxes that are decoded is that of the decoders that are there."""

from pydicom.pixels import get_decoder
from pydicom.uid import UID, UID_dictionary

from app.imaging.syntaxes import DECODED, LOSSLESS, LOSSY, UNCOMPRESSED


def _is_decoded(uid: str) -> bool:
    try:
        return bool(get_decoder(UID(uid)).is_available)
    except NotImplementedError:
        return False


def test_what_is_named_is_decoded_and_nothing_else_is() -> None:
    syntaxes = [uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"]
    assert set(DECODED) == {uid for uid in syntaxes if _is_decoded(uid)}
    assert len(DECODED) == len(set(DECODED))


def test_what_loses_least_comes_first() -> None:
    assert DECODED == UNCOMPRESSED + LOSSLESS + LOSSY
    assert [uid.is_implicit_VR for uid in UNCOMPRESSED] == [False, False, False, True]
    assert not any(uid.is_encapsulated for uid in UNCOMPRESSED)
    assert all("Lossless" in uid.name for uid in LOSSLESS)
    assert not any("Lossless" in uid.name for uid in LOSSY if "Near" not in uid.name)
