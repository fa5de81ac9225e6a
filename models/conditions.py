"""The conditions that the open data's labels distinguish, and which of them a text states."""

NORMAL = "normal"
BACTERIAL = "bacterial pneumonia"
VIRAL = "viral pneumonia"
COVID = "COVID-19"
PNEUMONIA = (BACTERIAL, VIRAL, COVID)
# One hospital's labels distinguish these; other findings are known to be absent only where labelled.
KINDS = (NORMAL, *PNEUMONIA)


def stated_condition(text: str) -> str | None:
    """The one of `KINDS` that a report, an answer or a request states, None where it states none."""
    low = text.lower()
    for label in PNEUMONIA:
        if label.lower() in low and f"no {label.lower()}" not in low:
            return label
    if any(words in low for words in ("normal chest", "no evidence of pneumonia", "no pneumonia", "it is normal")):
        return NORMAL
    return None
