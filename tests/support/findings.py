"""Findings as a bundle may declare them."""

from models.findings.spec import FindingCode, FindingSpec

PNEUMONIA = FindingSpec(
    name="pneumonia",
    code=FindingCode(scheme="SCT", value="233604007", meaning="Pneumonia"),
    question="Is there pneumonia?",
    yes="Yes, there is pneumonia.",
    no="No, there is no pneumonia.",
)
# Its answers share their first words.
NORMAL = FindingSpec(
    name="normal",
    code=FindingCode(scheme="SCT", value="17621005", meaning="Normal"),
    question="Is this a normal chest radiograph?",
    yes="It is normal.",
    no="It is abnormal.",
    abnormal_when="no",
)
FINDINGS = (PNEUMONIA, NORMAL)
