"""Looks at a radiograph before it is encoded, and counts and logs what was decided."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import structlog

from app.dicom.evidence.orientation import UPRIGHT
from app.dicom.evidence.verdict import BODY_PART_UNSTATED, VIEW_UNSTATED
from app.errors import RefusedByScreen, UnusableImage
from app.imaging import Radiograph
from app.imaging.upright import as_stored
from app.inference.backend import Backend
from app.inference.generation import Screening
from app.screening import Screened, decide
from app.screening.policy import SWITCHED_OFF
from app.telemetry.metrics import INPUTS

log = structlog.get_logger(__name__)
_LEFT = "The pixels do not lie as PatientOrientation says. The image was read as it is stored."
_UNSTATED = (BODY_PART_UNSTATED, VIEW_UNSTATED)


async def read(backend: Backend, data: bytes | Path) -> Radiograph:
    """Decode an image, whose header has to say as much as the policy asks for.

    Raises InputError, Overloaded, Unavailable, FatalError, OSError.
    """
    try:
        radiograph = await backend.reader.read(data)
        silent = [warning for warning in radiograph.warnings if warning in _UNSTATED]
        if silent and backend.screening.unstated == "refuse":
            raise UnusableImage("The header does not state that it is a frontal chest radiograph.", code="unstated")
    except UnusableImage as refused:
        INPUTS.labels(decision=refused.code).inc()
        raise
    if silent and backend.screening.unstated == "off":
        warnings = tuple(warning for warning in radiograph.warnings if warning not in silent)
        return replace(radiograph, warnings=warnings)
    return radiograph


async def as_it_lies(backend: Backend, radiograph: Radiograph, screening: Screening = "on") -> Radiograph:
    """The radiograph as it is stored, where its header turned it and only then it does not lie upright: devices write
    one PatientOrientation for all their images. Raises Overloaded, WorkerFailed.
    """
    if screening != "on" or not radiograph.turn.words or not (await backend.screen.look(radiograph.pixels)).pose.turn:
        return radiograph
    stored = as_stored(radiograph.pixels, radiograph.turn)
    sight = await backend.screen.look(stored)
    if sight.pose.turn or sight.pose.mirrored:
        return radiograph
    warnings = (*(one for one in radiograph.warnings if one != radiograph.turn.warning), _LEFT)
    return replace(radiograph, pixels=stored, warnings=warnings, turn=UPRIGHT)


async def screen(backend: Backend, pixels: np.ndarray, screening: Screening = "on") -> Screened:
    """What becomes of the pixels, uint8 (size, size), by the policy.

    Raises RefusedByScreen, Overloaded, WorkerFailed.
    """
    if screening != "on":
        INPUTS.labels(decision=screening).inc()
        return Screened(pixels, "unscreened", (SWITCHED_OFF,) if screening == "off" else (), {})
    try:
        screened, changed = decide(pixels, await backend.screen.look(pixels), backend.screening)
        if changed:
            screened = await _again(backend, screened)
    except RefusedByScreen as refused:
        INPUTS.labels(decision=refused.code).inc()
        raise
    INPUTS.labels(decision=screened.decision).inc()
    if screened.decision != "accepted":
        log.info("input screened", decision=screened.decision, warnings=len(screened.warnings))
    return screened


async def _again(backend: Backend, screened: Screened) -> Screened:
    """Look at what was turned: upright now, or the doubt remains and it is refused."""
    second, changed = decide(screened.pixels, await backend.screen.look(screened.pixels), backend.screening)
    if changed:
        raise RefusedByScreen(
            "The radiograph does not lie upright, and it is doubtful how it lies.",
            code="not_upright",
            probabilities=screened.probabilities,
        )
    new = tuple(warning for warning in second.warnings if warning not in screened.warnings)
    return replace(screened, warnings=(*screened.warnings, *new))
