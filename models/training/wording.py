"""Reports, questions and drawing requests composed from what the index states about a radiograph.

Only facts of the index are worded: the label, the view, the age group. Nothing is said about what was not labelled.
"""

from dataclasses import dataclass
from random import Random

from models.training.data import Study

NORMAL = ("normal", "No Finding")
BACTERIAL = "bacterial pneumonia"
VIRAL = "viral pneumonia"
COVID = "COVID-19"
UNLABELLED = "COVID-19 patient cohort; finding not labelled per image"
PNEUMONIA = (BACTERIAL, VIRAL, COVID)

_PATIENTS = {"paediatric": ("a child", "a paediatric patient"), "adult": ("an adult", "an adult patient")}
_FINDINGS = {
    "normal": (
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
    "normal": ("Normal chest radiograph.", "No evidence of pneumonia.", "Normal chest, no pneumonia."),
    BACTERIAL: (
        "Bacterial pneumonia.",
        "Findings consistent with bacterial pneumonia.",
        "Consolidation, bacterial pneumonia.",
    ),
    VIRAL: ("Viral pneumonia.", "Findings consistent with viral pneumonia.", "Interstitial pattern, viral pneumonia."),
    COVID: ("COVID-19 pneumonia.", "Findings consistent with COVID-19 pneumonia."),
}


@dataclass(frozen=True)
class Exchange:
    """A question or instruction, and its answer."""

    question: str
    answer: str
    kind: str


def condition(study: Study) -> str | None:
    """`normal`, a kind of pneumonia, other findings as the index names them, or None where nothing was labelled."""
    if study.label == UNLABELLED:
        return None
    return "normal" if study.label in NORMAL else study.label


def _findings(label: str, rng: Random) -> str:
    if label in _FINDINGS:
        return rng.choice(_FINDINGS[label])
    return f"There is {_listed(label)}."


def _listed(label: str) -> str:
    names = [name.replace("_", " ").lower() for name in label.split("|")]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _impression(label: str, rng: Random) -> str:
    return rng.choice(_IMPRESSIONS[label]) if label in _IMPRESSIONS else f"{_listed(label).capitalize()}."


def _technique(study: Study, rng: Random) -> str:
    view = study.view if study.view in ("AP", "PA") else "Frontal"
    return f"{view} chest radiograph of {rng.choice(_PATIENTS[study.age_group])}."


def report(study: Study, rng: Random) -> str | None:
    """A report with FINDINGS and IMPRESSION, or None where nothing was labelled."""
    label = condition(study)
    if label is None:
        return None
    findings = f"{_technique(study, rng)} {_findings(label, rng)}"
    return f"FINDINGS: {findings}\nIMPRESSION: {_impression(label, rng)}"


def drawing_request(study: Study, rng: Random) -> str:
    """What a client might write to have this radiograph drawn: a report, its impression, or a line in between."""
    label = condition(study)
    technique = _technique(study, rng)
    if label is None:
        return technique
    forms = (
        report(study, rng) or technique,
        _impression(label, rng),
        f"{technique} {_impression(label, rng)}",
        f"{_findings(label, rng)} {_impression(label, rng)}",
    )
    return rng.choice(forms)


def exchanges(study: Study, rng: Random) -> list[Exchange]:
    """Every question that the index can answer about this radiograph, positive and negative."""
    label = condition(study)
    asked = [
        Exchange(
            rng.choice(("What is the view?", "Which projection is this?")),
            {"AP": "AP view.", "PA": "PA view."}.get(study.view, "Frontal view."),
            "view",
        ),
        Exchange(
            rng.choice(("Is the patient a child or an adult?", "What is the age group?")),
            "A child." if study.age_group == "paediatric" else "An adult.",
            "age group",
        ),
    ]
    if label is None:
        return asked
    asked.append(
        Exchange(
            rng.choice(("Is there pneumonia?", "Does the patient have pneumonia?", "Is pneumonia present?")),
            "Yes, there is pneumonia." if label in PNEUMONIA else "No, there is no pneumonia.",
            "presence",
        )
    )
    asked.append(
        Exchange(
            rng.choice(("Is the chest normal?", "Is this a normal chest radiograph?")),
            "Yes, it is normal." if label == "normal" else "No, it is not normal.",
            "presence",
        )
    )
    if label in (*PNEUMONIA, "normal"):
        for kind in (BACTERIAL, VIRAL):
            asked.append(
                Exchange(
                    rng.choice((f"Is there {kind}?", f"Is this {kind}?")),
                    f"Yes, there is {kind}." if label == kind else f"No, there is no {kind}.",
                    "kind",
                )
            )
    asked.append(
        Exchange(
            rng.choice(("What is the main finding?", "What does the radiograph show?")),
            "It is normal."
            if label == "normal"
            else f"It shows {_listed(label) if label not in PNEUMONIA else label}.",
            "finding",
        )
    )
    return asked


def stated_condition(text: str) -> str | None:
    """The condition that a generated report or answer states, None where it states none."""
    low = text.lower()
    for label in (BACTERIAL, VIRAL, COVID):
        if label.lower() in low and f"no {label.lower()}" not in low:
            return label
    if "normal chest" in low or "no evidence of pneumonia" in low or "no pneumonia" in low or "it is normal" in low:
        return "normal"
    return None
