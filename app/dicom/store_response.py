"""The Store Instances Response of a STOW-RS service (PS3.18 10.5.3 and Table I.1-1), read."""

from dataclasses import dataclass

from app.dicom.native_model import JsonDataset, json_datasets, values_of
from app.dicom.status import FailureReason
from app.errors import MalformedInput

_FAILED, _REFERENCED, _OTHER_FAILURES = "00081198", "00081199", "0008119A"
_INSTANCE, _REASON = "00081155", "00081197"


@dataclass(frozen=True)
class StoreResponse:
    """What became of the objects of a request.

    `stored` are the SOP Instance UIDs of Referenced SOP Sequence, one an item and empty where it names none. `failed`
    are those of Failed SOP and Other Failures Sequence with their Failure Reasons.
    """

    stored: tuple[str, ...] = ()
    failed: tuple[tuple[str, int], ...] = ()


def read_store_response(body: bytes) -> StoreResponse:
    """Read a response, as DICOM JSON or as Native DICOM Model. Raises MalformedInput."""
    stored: list[str] = []
    failed: list[tuple[str, int]] = []
    for dataset in json_datasets(body):
        stored += [_uid(item) for item in _items(dataset, _REFERENCED)]
        for sequence in (_FAILED, _OTHER_FAILURES):
            failed += [(_uid(item), _reason(item)) for item in _items(dataset, sequence)]
    return StoreResponse(tuple(stored), tuple(failed))


def _items(dataset: JsonDataset, tag: str) -> list[JsonDataset]:
    items = values_of(dataset, tag)
    if not all(isinstance(item, dict) for item in items):
        raise MalformedInput("A sequence has no items.")
    return items


def _uid(item: JsonDataset) -> str:
    values = values_of(item, _INSTANCE)
    return str(values[0]).strip(" \0") if values else ""


def _reason(item: JsonDataset) -> int:
    values = values_of(item, _REASON)
    try:
        # Type 1; who leaves it out has failed for no reason that lasts.
        return int(values[0]) if values else int(FailureReason.PROCESSING_FAILURE)
    except (TypeError, ValueError) as error:
        raise MalformedInput("A Failure Reason is no number.") from error
