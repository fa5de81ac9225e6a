"""How the service names itself in what it writes."""

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

MANUFACTURER = "LLM-CXR server"


def device_uid(bundle_sha256: str) -> str:
    """A UID for a bundle as a device."""
    return str(generate_uid(entropy_srcs=["llm-cxr-bundle", bundle_sha256]))


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def contributing_equipment(purpose: str, meaning: str, model: str, bundle_sha256: str, what: str) -> Dataset:
    """An item of the Contributing Equipment Sequence (PS3.3 C.12.1); `purpose` is of CID 7005."""
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = Sequence([code(purpose, "DCM", meaning)])
    equipment.Manufacturer = MANUFACTURER
    equipment.ManufacturerModelName = model[:64]
    equipment.SoftwareVersions = model[:64]
    equipment.DeviceUID = device_uid(bundle_sha256)
    equipment.ContributionDescription = what
    return equipment
