"""Repair of JPEG 2000 codestreams that decoders refuse (ISO/IEC 15444-1 annex A)."""

_SOC = b"\xff\x4f"
_SOT = b"\xff\x90"
_EOC = b"\xff\xd9"


def without_trailing_segments(codestream: bytes) -> bytes | None:
    """The codestream without marker segments between its last tile-part and its end, where only EOC may stand.

    Some encoders pad there with a comment. None where the tile-parts cannot be followed or nothing is to be removed.
    """
    if not codestream.startswith(_SOC):
        return None
    position = 2
    while codestream[position : position + 2] != _SOT:
        length = int.from_bytes(codestream[position + 2 : position + 4], "big")
        if length < 2 or position + length > len(codestream):
            return None
        position += 2 + length
    while codestream[position : position + 2] == _SOT:
        # Psot, the tile-part's length from the first byte of its SOT marker; 0 means up to EOC.
        length = int.from_bytes(codestream[position + 6 : position + 10], "big")
        if length < 14 or position + length > len(codestream):
            return None
        position += length
    if codestream[position : position + 2] == _EOC:
        return None
    return codestream[:position] + _EOC
