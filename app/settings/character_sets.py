"""The defined terms of Specific Character Set (PS3.3 C.12.1.1.2, Tables C.12-2 to C.12-5)."""

_PARTS = ("6", "100", "101", "109", "110", "144", "127", "126", "138", "148", "13", "166")
_MULTI_BYTE = ("ISO 2022 IR 87", "ISO 2022 IR 159", "ISO 2022 IR 149", "ISO 2022 IR 58")
_WITHOUT_EXTENSIONS = ("ISO_IR 192", "GB18030", "GBK")
# The first value is empty where the default repertoire is extended.
CHARACTER_SETS = frozenset(
    {"", *(f"ISO_IR {part}" for part in _PARTS), *(f"ISO 2022 IR {part}" for part in _PARTS)}
    | {*_MULTI_BYTE, *_WITHOUT_EXTENSIONS}
)
