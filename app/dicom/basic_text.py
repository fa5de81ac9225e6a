"""A draft report as Basic Text SR after TID 2000 Basic Diagnostic Imaging Report (PS3.16)."""

from collections.abc import Sequence as Items

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import BasicTextSRStorage

from app.dicom.document import Draft, document_header, referenced_instance, set_document_flags
from app.dicom.equipment import MANUFACTURER, code, device_uid

DOCUMENT = "basic_text"
_UT_LIMIT = 100_000


def _item(relationship: str | None, value_type: str, name: Dataset) -> Dataset:
    item = Dataset()
    if relationship is not None:
        item.RelationshipType = relationship
    item.ValueType = value_type
    item.ConceptNameCodeSequence = Sequence([name])
    return item


def _text(relationship: str, name: Dataset, value: str) -> Dataset:
    item = _item(relationship, "TEXT", name)
    # UT admits TAB, LF, FF, CR and no other control characters (PS3.5 6.2).
    item.TextValue = "".join(letter for letter in value if letter in "\t\n\f\r" or ord(letter) >= 32)[:_UT_LIMIT] or " "
    return item


def _uid(relationship: str, name: Dataset, value: str) -> Dataset:
    item = _item(relationship, "UIDREF", name)
    item.UID = value
    return item


def _code(relationship: str, name: Dataset, value: Dataset) -> Dataset:
    item = _item(relationship, "CODE", name)
    item.ConceptCodeSequence = Sequence([value])
    return item


def _observer(draft: Draft) -> list[Dataset]:
    """TID 1002 Observer Context with TID 1004 Device Observer Identifying Attributes."""
    relationship = "HAS OBS CONTEXT"
    return [
        _code(relationship, code("121005", "DCM", "Observer Type"), code("121007", "DCM", "Device")),
        _uid(relationship, code("121012", "DCM", "Device Observer UID"), device_uid(draft.bundle_sha256)),
        _text(relationship, code("121013", "DCM", "Device Observer Name"), draft.model),
        _text(relationship, code("121014", "DCM", "Device Observer Manufacturer"), MANUFACTURER),
        _text(relationship, code("121015", "DCM", "Device Observer Model Name"), draft.model),
        _text(relationship, code("121016", "DCM", "Device Observer Serial Number"), draft.bundle_sha256),
    ]


def _section(heading: Dataset, name: Dataset, value: str, draft: Draft) -> Dataset:
    """A section with one text, inferred from the image."""
    image = Dataset()
    image.RelationshipType = "INFERRED FROM"
    image.ValueType = "IMAGE"
    image.ReferencedSOPSequence = Sequence(
        [referenced_instance(str(draft.source.SOPClassUID), str(draft.source.SOPInstanceUID))]
    )
    text = _text("CONTAINS", name, value)
    text.ContentSequence = Sequence([image])
    section = _item("CONTAINS", "CONTAINER", heading)
    section.ContinuityOfContent = "SEPARATE"
    section.ContentSequence = Sequence([text])
    return section


def sections(draft: Draft) -> Items[Dataset]:
    """What was doubted of the image, findings and impression; a report without headings is all findings."""
    found = []
    if draft.warnings:
        # CID 7001 and 7002: how the image was taken stands before what was found in it.
        heading = code("55111-9", "LN", "Current Procedure Descriptions")
        name = code("121065", "DCM", "Procedure Description")
        first, *others = (_section(heading, name, f"Warning: {warning}", draft) for warning in draft.warnings)
        for other in others:
            first.ContentSequence.extend(other.ContentSequence)
        found.append(first)
    findings = draft.findings if draft.findings or draft.impression else draft.text
    if findings:
        heading = code("59776-5", "LN", "Findings")
        found.append(_section(heading, code("121071", "DCM", "Finding"), findings, draft))
    if draft.impression:
        heading = code("19005-8", "LN", "Impressions")
        found.append(_section(heading, code("121073", "DCM", "Impression"), draft.impression, draft))
    return found


def basic_text_report(draft: Draft) -> Dataset:
    """The report as Basic Text SR (PS3.3 A.35.1)."""
    dataset = document_header(draft, DOCUMENT, str(BasicTextSRStorage), "SR")
    set_document_flags(dataset, draft)
    dataset.ValueType = "CONTAINER"
    dataset.ConceptNameCodeSequence = Sequence([code("43468-8", "LN", "X-Ray Report")])
    dataset.ContinuityOfContent = "SEPARATE"
    template = Dataset()
    template.MappingResource = "DCMR"
    template.TemplateIdentifier = "2000"
    dataset.ContentTemplateSequence = Sequence([template])
    # TID 1204 Language of Content Item and Descendants.
    language = _code(
        "HAS CONCEPT MOD",
        code("121049", "DCM", "Language of Content Item and Descendants"),
        code("en", "RFC5646", "English"),
    )
    dataset.ContentSequence = Sequence([language, *_observer(draft), *sections(draft)])
    return dataset
