"""Reports, questions and drawing requests of a radiograph: its own texts where it has them, else composed from facts.

Texts state only what the manifest states: labels, severity, view, age group, sex. They are silent about findings that
were not labelled.
"""

from random import Random

from models.conditions import BACTERIAL, COVID, KINDS, NORMAL, PNEUMONIA, VIRAL
from models.data.dataset import QuestionAnswer, Record
from models.labels import LABELS

FINDINGS = tuple(name for name in LABELS if name not in KINDS)
_NEGATIVES = 2

_PATIENTS = {
    "paediatric": ("a child", "a paediatric patient"),
    "adult": ("an adult", "an adult patient"),
    "": ("a patient",),
}
_SEXES = {"F": ("a female", "female"), "M": ("a male", "male")}
_SEEN = {
    NORMAL: (
        "The lungs are clear.",
        "No focal opacity is seen.",
        "Both lungs are clear without consolidation.",
        "The lungs are well aerated and clear.",
    ),
    BACTERIAL: (
        "There is airspace opacity.",
        "Focal consolidation is present.",
        "Airspace consolidation is seen.",
        "There is lung opacity with consolidation.",
    ),
    VIRAL: (
        "There are diffuse interstitial opacities.",
        "Bilateral interstitial markings are increased.",
        "Diffuse interstitial changes are seen.",
        "There is interstitial opacity in both lungs.",
    ),
    COVID: (
        "There are hazy opacities.",
        "Patchy ground-glass opacity is present.",
        "Hazy airspace opacity is seen.",
    ),
}
_IMPRESSIONS = {
    NORMAL: ("Normal chest radiograph.", "No evidence of pneumonia.", "Normal chest, no pneumonia."),
    BACTERIAL: (
        "Bacterial pneumonia.",
        "Findings consistent with bacterial pneumonia.",
        "Consolidation, bacterial pneumonia.",
    ),
    VIRAL: ("Viral pneumonia.", "Findings consistent with viral pneumonia.", "Interstitial pattern, viral pneumonia."),
    COVID: ("COVID-19 pneumonia.", "Findings consistent with COVID-19 pneumonia."),
}
_IS_THERE = (
    "Is there {}?",
    "Is this {}?",
    "Does the patient have {}?",
    "Does this radiograph show {}?",
    "Is there evidence of {}?",
    "Do you see signs of {}?",
    "Is {} present?",
)
_IS_NORMAL = (
    "Is the chest normal?",
    "Is this a normal chest radiograph?",
    "Is this radiograph normal?",
    "Are the lungs clear?",
    "Is this a healthy chest?",
)


def _listed(labels: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(labels[:-1]), labels[-1])))


def _technique(record: Record, rng: Random) -> str:
    view = {"AP": "AP", "PA": "PA", "lateral": "Lateral"}.get(record.view, "Frontal")
    return f"{view} chest radiograph of {rng.choice(_PATIENTS[record.age_group])}."


def _findings(record: Record, rng: Random) -> str:
    condition = record.condition or ""
    if condition in _SEEN:
        seen = rng.choice(_SEEN[condition])
    else:
        seen = f"There is {record.severity} {_listed(record.labels)}.".replace("  ", " ")
    return f"{_technique(record, rng)} {seen}"


def _impression(record: Record, rng: Random) -> str:
    condition = record.condition or ""
    return (
        rng.choice(_IMPRESSIONS[condition]) if condition in _IMPRESSIONS else f"{_listed(record.labels)}.".capitalize()
    )


def report(record: Record, rng: Random, texts: str = "full") -> str | None:
    """A report with FINDINGS and IMPRESSION, of `texts` "impression" the impression alone; None where nothing is known.

    The radiologist's text where there is one.
    """
    if record.findings or record.impression:
        findings, impression = record.findings, record.impression
    elif record.labels:
        findings, impression = _findings(record, rng), _impression(record, rng)
    else:
        return None
    if texts == "impression":
        return impression or findings
    parts = (("FINDINGS", findings), ("IMPRESSION", impression))
    return "\n".join(f"{name}: {text}" for name, text in parts if text)


def drawing_request(record: Record, rng: Random, texts: str = "full") -> str:
    """What a client might write to have this radiograph drawn: a report, its impression, or a line in between."""
    technique = _technique(record, rng)
    if record.findings or record.impression:
        return report(record, rng, texts if rng.random() < 0.5 else "impression") or technique
    if not record.labels:
        return technique
    impression = _impression(record, rng)
    forms = (
        report(record, rng) or technique,
        impression,
        f"{technique} {impression}",
        f"{_findings(record, rng).removeprefix(technique).strip()} {impression}",
    )
    return rng.choice(forms)


def _presence(name: str, there: bool, kind: str, rng: Random) -> QuestionAnswer:
    answer = f"Yes, there is {name}." if there else f"No, there is no {name}."
    return QuestionAnswer(rng.choice(_IS_THERE).format(name), answer, kind)


def _about_image(record: Record, rng: Random) -> list[QuestionAnswer]:
    asked = []
    if record.view:
        question = rng.choice(("What is the view?", "Which projection is this?"))
        answer = {"frontal": "Frontal view.", "lateral": "Lateral view."}.get(record.view, f"{record.view} view.")
        asked.append(QuestionAnswer(question, answer, "view"))
    if record.age_group:
        question = rng.choice(("Is the patient a child or an adult?", "What is the age group?"))
        asked.append(
            QuestionAnswer(question, "A child." if record.age_group == "paediatric" else "An adult.", "age group")
        )
    if record.sex in _SEXES:
        question = rng.choice(("What is the patient's sex?", "Is the patient female or male?"))
        asked.append(QuestionAnswer(question, f"{_SEXES[record.sex][1].capitalize()}.", "sex"))
    if record.severity and record.labels:
        asked.append(
            QuestionAnswer(
                f"How severe is the {_listed(record.labels)}?", f"{record.severity.capitalize()}.", "severity"
            )
        )
    return asked


def question_answers(record: Record, rng: Random) -> list[QuestionAnswer]:
    """The record's own questions, then every question its facts can answer, positive and negative."""
    asked = [*record.questions, *_about_image(record, rng)]
    if not record.labels:
        return asked
    normal, condition = NORMAL in record.labels, record.condition
    pneumonia = any(label in (*PNEUMONIA, "pneumonia") for label in record.labels)
    # Films labelled with other findings may show an unlabelled pneumonia.
    if pneumonia or normal or condition in KINDS:
        asked.append(_presence("pneumonia", pneumonia, "presence", rng))
    asked.append(
        QuestionAnswer(rng.choice(_IS_NORMAL), "Yes, it is normal." if normal else "No, it is not normal.", "presence")
    )
    if condition in KINDS:
        asked.extend(_presence(name, condition == name, "kind", rng) for name in (BACTERIAL, VIRAL))
    present = [label for label in record.labels if label in FINDINGS and label != "pneumonia"]
    asked.extend(_presence(name, True, "finding presence", rng) for name in present)
    if present:
        absent = [name for name in FINDINGS if name not in record.labels and name != "pneumonia"]
        asked.extend(_presence(name, False, "finding presence", rng) for name in rng.sample(absent, _NEGATIVES))
    question = rng.choice(("What is the main finding?", "What does the radiograph show?"))
    asked.append(
        QuestionAnswer(question, "It is normal." if normal else f"It shows {_listed(record.labels)}.", "finding")
    )
    return asked
