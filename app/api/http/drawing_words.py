"""Whether words ask for a drawing: a narrow rule, since everything else must never draw by accident."""

import re
import unicodedata

# What asks stands at the beginning; the expressions below take time by its square.
_MOST = 400
_HYPHENS = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\u00ad", "-"))

_HELLO = r"(?:(?:hello|hi|hey|good (?:morning|day|afternoon|evening))(?: there)?[,.!]* )?"
_POLITE = r"(?:(?:please|now|ok(?:ay)?|then|and),? )*(?:(?:can|could|would|will) you (?:please )?)?"
_WISH = r"(?:(?:i want|i need|i(?: would|'d|’d) like) you to (?:please )?|let(?:'|’| u)s )?"
_VERB = r"(?:draw|generate|create|synthesi[sz]e|paint|make|produce|render) (?:me )?"
# Words before the picture's name: of "a summary of the chest x-ray" nothing is drawn.
_QUALITIES = r"(?:(?!(?:of|the|for|from|in|on|about|to|how|what|with|and)\b)[\w-]+,? ){0,5}?"
_OF = rf"(?:(?:image|picture)s? of (?:an? |the )?{_QUALITIES})?"
_PICTURE = r"(?:chest(?: (?:x-?rays?|radiographs?|films?|images?|pictures?))?|radiographs?|x-?rays?|cxrs?)"
_END = (
    r"(?=$| ?[.,;:!?]| (?:with|without|of|showing|demonstrating|depicting|displaying|suggesting|consistent|for|that"
    r"|which|where|in|from|having|please|now|again)\b)"
)
_DRAW = re.compile(
    f"{_HELLO}{_POLITE}{_WISH}{_VERB}(?:(?:an?|another|one|some|two) )?{_QUALITIES}{_OF}{_PICTURE}{_END}", re.I
)
# "Show" is also said of films that exist: it draws one, with findings or without, and nobody's.
_SHOW_END = r"(?=$| ?[.,;:!?]| (?:with|without|showing)\b)"
_SHOW = re.compile(f"{_HELLO}{_POLITE}show (?:me )?(?:an?|another) {_QUALITIES}{_PICTURE}{_SHOW_END}", re.I)


def asks_to_draw(text: str) -> bool:
    """Whether a text begins by asking for a radiograph to be drawn."""
    plain = unicodedata.normalize("NFKC", text[: 4 * _MOST]).translate(_HYPHENS)
    words = " ".join(plain.split())[:_MOST]
    return _DRAW.match(words) is not None or _SHOW.match(words) is not None
