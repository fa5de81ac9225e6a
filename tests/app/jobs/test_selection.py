"""Which image of a study is tried first, and which are not tried: by the evidence of the headers that intake kept."""

from typing import Any

import pytest
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)

from app.dicom.header import attributes_of
from app.jobs import selection
from app.store.records import HeldInstance
from tests.support.radiographs import sequence_item

_CR = {"SOPClassUID": ComputedRadiographyImageStorage, "BodyPartExamined": "CHEST"}
_SC = {**_CR, "SOPClassUID": SecondaryCaptureImageStorage}


def held(name: str, received: float = 0.0, file: str | None = "file", **attributes: Any) -> HeldInstance:
    dataset = sequence_item(**{**_CR, **attributes})
    return HeldInstance(name, str(dataset.SOPClassUID), attributes_of(dataset), "1.2", "0" * 64, file, received)


@pytest.mark.parametrize(
    "order",
    [
        [{"ViewPosition": "PA"}, {"ViewPosition": "AP"}, {"ViewPosition": "FRONTAL"}, {}],
        [{"SeriesDescription": "Chest PA"}, {"SeriesDescription": "Chest AP"}, {"PatientOrientation": ["L", "F"]}, {}],
        [{"ImageType": ["ORIGINAL", "PRIMARY"]}, {"ImageType": ["DERIVED", "PRIMARY"], "ViewPosition": "PA"}],
        [{}, {**_SC, "ViewPosition": "PA"}],
        [{"ImageType": ["DERIVED", "PRIMARY"]}, {**_SC, "ImageType": ["ORIGINAL", "PRIMARY"], "ViewPosition": "PA"}],
        [{"ViewPosition": "AP"}, {"ViewPosition": "PA", "BodyPartExamined": ""}],
    ],
)
def test_candidates_are_tried_in_this_order_whatever_came_first(order: list[dict[str, Any]]) -> None:
    instances = [held(str(number), 10.0 - number, **attributes) for number, attributes in enumerate(order)]
    candidates, skipped = selection.split(reversed(instances))
    assert [one.sop_instance_uid for one in candidates] == [str(number) for number in range(len(order))]
    assert skipped == []


def test_of_equals_the_first_that_arrived_is_tried_first() -> None:
    candidates, _ = selection.split([held("later", 2.0), held("first", 1.0)])
    assert [one.sop_instance_uid for one in candidates] == ["first", "later"]


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"ViewPosition": "L LAT"}, "not_frontal"),
        ({"SeriesDescription": "Thorax seitlich"}, "not_frontal"),
        ({"PatientOrientation": ["A", "F"]}, "not_frontal"),
        ({"BodyPartExamined": "", "StudyDescription": "XR HIP"}, "not_chest"),
        ({"QualityControlImage": "YES"}, "quality_control_image"),
        ({"SOPClassUID": DigitalXRayImageStorageForProcessing}, "for_processing"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "for_processing"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "wrong_sop_class"),
        ({"file": None}, "removed"),
    ],
)
def test_what_its_header_rules_out_is_skipped_with_its_reason(attributes: dict[str, Any], code: str) -> None:
    candidates, skipped = selection.split([held("one", **attributes)])
    assert candidates == []
    assert [one.code for one in skipped] == [code]


def test_an_instance_that_an_older_release_stored_is_still_a_candidate() -> None:
    old = {"00080016": {"vr": "UI", "Value": [str(ComputedRadiographyImageStorage)]}, "00185101": {"vr": "CS"}}
    stored = HeldInstance("old", str(ComputedRadiographyImageStorage), old, "1.2", "0" * 64, "file", 0.0)
    assert selection.split([stored])[0] == [stored]
