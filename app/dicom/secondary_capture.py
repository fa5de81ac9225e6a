"""A synthetic radiograph as a Secondary Capture Image (PS3.3 A.8.1).

It never joins a real patient's study, says that it is synthetic wherever the standard has a place for it, and holds the
prompt only as a pseudonym, since a prompt may name a patient.
"""

import datetime
from dataclasses import dataclass

import numpy as np
from highdicom import UID
from highdicom.sc import ConversionTypeValues, SCImage
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from app.dicom.equipment import MANUFACTURER, contributing_equipment


@dataclass(frozen=True)
class Provenance:
    """Where a synthetic image comes from. `bundle_sha256` identifies the model to the byte.

    `guidance` is the scale of the drawing's, 1 for none. A prompt may name a patient and is short enough to be guessed:
    only this installation's pseudonym stands for it.
    """

    model: str
    bundle_sha256: str
    seed: int | None = None
    prompt_pseudonym: str | None = None
    guidance: float = 1.0

    @property
    def sentence(self) -> str:
        """One line for people and for DerivationDescription."""
        parts = [f"Synthetic image drawn by {self.model}", f"bundle sha256 {self.bundle_sha256}"]
        if self.seed is not None:
            parts.append(f"seed {self.seed}")
        if self.guidance != 1.0:
            parts.append(f"guidance {self.guidance:g}")
        if self.prompt_pseudonym is not None:
            parts.append(f"prompt pseudonym {self.prompt_pseudonym}")
        return "; ".join(parts)


def synthetic_capture(pixels: np.ndarray, provenance: Provenance, now: datetime.datetime | None = None) -> Dataset:
    """A Secondary Capture of a drawing: uint8 (H, W), grey, in a study of its own.

    `now` fixes the dates; by default they are the present's.
    """
    now = now or datetime.datetime.now()
    image = SCImage(
        pixel_array=pixels,
        photometric_interpretation="MONOCHROME2",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=UID(),
        series_instance_uid=UID(),
        series_number=1,
        sop_instance_uid=UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        patient_id=f"SYN-{UID().rsplit('.', 1)[-1][-12:]}",
        patient_name="SYNTHETIC^RADIOGRAPH",
        study_date=now.date(),
        study_time=now.time(),
        patient_orientation=("L", "F"),
    )
    # PS3.3 C.7.6.1.1.2: SECONDARY states that no examination produced it. highdicom writes DI (digital interface).
    image.ConversionType = ConversionTypeValues.SYN.value
    image.ImageType = ["DERIVED", "SECONDARY"]
    image.SyntheticData = "YES"
    image.BurnedInAnnotation = "NO"
    # Type 2C: the chest is not a paired body part, but without BodyPartExamined nothing says so.
    image.Laterality = ""
    image.SeriesDescription = "Synthetic radiograph"
    image.StudyDescription = "Synthetic radiograph"
    image.DerivationDescription = provenance.sentence
    image.ContributingEquipmentSequence = Sequence(
        [
            contributing_equipment(
                "109100",
                "Synthesizing Equipment",
                provenance.model,
                provenance.bundle_sha256,
                "Image generated from text",
            )
        ]
    )
    return image
