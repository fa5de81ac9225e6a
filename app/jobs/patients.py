"""Whether the images of a study are one patient's: nothing of a study of two is read."""

from collections.abc import Iterable
from itertools import combinations

from app.dicom.patient import Patient
from app.jobs.steps import JobFailed
from app.store.records import HeldInstance

# Identities that are compared, each with each.
_MOST = 64


def check_one_patient(held: Iterable[HeldInstance]) -> None:
    """Raise JobFailed where held images name two patients."""
    patients = {Patient.from_attributes(instance.attributes): None for instance in held if instance.file is not None}
    # Nobody writes one patient in so many ways, and none is left out of the comparison.
    if len(patients) > _MOST or any(one.is_another(other) for one, other in combinations(patients, 2)):
        raise JobFailed("two_patients", "The study holds images of two patients; none of them was read.")
