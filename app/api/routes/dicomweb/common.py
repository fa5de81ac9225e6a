"""What the DICOMweb routes share."""

from typing import Annotated

from fastapi import Depends, Path, Request
from fastapi.responses import Response
from pydantic import AfterValidator

from app.api.state import state_of
from app.dicom.uids import is_valid_uid
from app.errors import Unavailable
from app.inference.lifecycle import Phase
from app.jobs.service import StudyService

DICOM, RELATED, DICOM_JSON = "application/dicom", "multipart/related", "application/dicom+json"


async def _studies(request: Request) -> StudyService:
    state = state_of(request)
    studies = state.studies
    if studies is None or not studies.accepting or state.lifecycle.phase is Phase.FAILED:
        raise Unavailable("Studies are not taken at the moment.")
    return studies


def _valid(value: str) -> str:
    if not is_valid_uid(value, lenient=True):  # such ones may be held
        raise ValueError("this is no UID")
    return value


Studies = Annotated[StudyService, Depends(_studies)]
Uid = Annotated[str, Path(max_length=64), AfterValidator(_valid)]


class DicomJson(Response):
    """DICOM JSON with exactly its media type: a charset parameter makes some clients drop the body."""

    media_type = DICOM_JSON


def base_url(request: Request) -> str:
    """Where the DICOMweb services are, as the client reached them."""
    return f"{str(request.base_url).rstrip('/')}/dicom-web"
