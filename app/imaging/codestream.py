"""Repair of codestreams that decoders refuse: JPEG 2000 (ISO/IEC 15444-1 annex A) and JPEG (ITU-T T.81 annex B)."""

_SOC = b"\xff\x4f"
_SOT = b"\xff\x90"
_EOC = b"\xff\xd9"
_SOI = b"\xff\xd8"
# SOF markers of the sequential processes that transform (DCT), without and with arithmetic coding.
_SEQUENTIAL = {0xC0, 0xC1, 0xC9}
_SOS = 0xDA
# The first and last coefficient and the bits of approximation of a sequential scan (T.81 B.2.3): no others may stand.
_WHOLE = bytes([0, 63, 0])


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


def with_whole_scans(codestream: bytes) -> bytes | None:
    """The sequential JPEG with scans that say that they hold all coefficients, which is all that they can hold.

    Some encoders write 0 for the last coefficient. None where it is no sequential JPEG or nothing is to be changed.
    """
    if not codestream.startswith(_SOI):
        return None
    found, position, sequential = bytearray(codestream), 2, False
    while 0 <= position <= len(found) - 4:
        marker = found[position + 1]
        if found[position] != 0xFF or marker in (0x00, 0xFF) or 0xD0 <= marker <= 0xD9:
            # Entropy-coded data, with its stuffing and restart markers.
            position = found.find(b"\xff", position + 1)
            continue
        length = int.from_bytes(found[position + 2 : position + 4], "big")
        end = position + 2 + length
        if length < 2 or end > len(found):
            break
        sequential = sequential or marker in _SEQUENTIAL
        if marker == _SOS and length >= 6:
            found[end - 3 : end] = _WHOLE
        position = end
    return bytes(found) if sequential and found != codestream else None
