"""QIDO-RS: what is held (PS3.18 10.6)."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydicom.datadict import keyword_for_tag

from app.api.http.negotiation import negotiate
from app.api.http.responses import PROBLEMS
from app.api.http.visibility import reader_of, touched
from app.api.routes.dicomweb.common import DICOM_JSON, DicomJson, Studies, Uid
from app.dicom.attributes import value_of
from app.errors import InvalidRequest
from app.jobs.service import StudyService
from app.store.search import KEYS, Level, Query

router = APIRouter(prefix="/dicom-web", tags=["DICOMweb"], default_response_class=DicomJson)

_STUDY_UID, _PATIENT_ID = "0020000D", "00100020"
_DEFAULT_LIMIT, _MOST = 100, 1_000
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "What matches; a Warning header where the page is not all, or a parameter is not supported",
        "content": {DICOM_JSON: {"schema": {"type": "array", "items": {"type": "object"}}}},
    },
    **{status: PROBLEMS[status] for status in (400, 406, 500, 503)},
}


async def _find(request: Request, studies: StudyService, level: Level, **fixed: str) -> Response:
    negotiate(request, (DICOM_JSON, "application/json"))
    matches, unsupported, page = dict(fixed), [], {"limit": _DEFAULT_LIMIT, "offset": 0}
    for name, value in request.query_params.multi_items():
        if name in page:
            if not value.isdigit() or len(value) > 9:
                raise InvalidRequest(f"{name}: give a whole number")
            page[name] = int(value)
        elif name == "includefield":
            continue  # all attributes that are kept are returned
        elif name == "fuzzymatching":
            if value.lower() == "true":
                unsupported.append(name)
        else:
            keyword = keyword_for_tag(name) if len(name) == 8 and name.isalnum() else name
            if keyword in KEYS:
                matches.setdefault(keyword, value)
            else:
                unsupported.append("a matching key")
    limit = min(page["limit"], _MOST)
    found, more = await studies.search(Query(level, matches, limit, page["offset"], reader_of(request)))
    seen = touched(request)
    seen.keys |= matches.keys()
    seen.studies |= {value_of(one, _STUDY_UID) for one in found}
    seen.patients |= {value_of(one, _PATIENT_ID) for one in found}
    warnings = []
    if unsupported:
        # PS3.18 8.3.4.1: parameters that are not supported are left out of the search.
        warnings.append(f'299 llm-cxr "{", ".join(dict.fromkeys(unsupported))}: not supported"')
    if more:
        warnings.append('299 llm-cxr "There are more results; use limit and offset"')
    headers = {"Warning": ", ".join(warnings)} if warnings else None
    return DicomJson(json.dumps(found), headers=headers)


@router.get("/studies", responses=_RESPONSES, summary="Find studies")
async def find_studies(request: Request, studies: Studies) -> Response:
    """Studies by UID, patient, date (range), accession number or modality; wild cards `*` and `?`; limit, offset."""
    return await _find(request, studies, "studies")


@router.get("/series", responses=_RESPONSES, summary="Find series")
async def find_series(request: Request, studies: Studies) -> Response:
    """Series of all studies."""
    return await _find(request, studies, "series")


@router.get("/instances", responses=_RESPONSES, summary="Find instances")
async def find_instances(request: Request, studies: Studies) -> Response:
    """Instances of all studies."""
    return await _find(request, studies, "instances")


@router.get("/studies/{study}/series", responses=_RESPONSES, summary="Find a study's series")
async def find_series_of(request: Request, study: Uid, studies: Studies) -> Response:
    """Series of one study."""
    return await _find(request, studies, "series", StudyInstanceUID=study)


@router.get("/studies/{study}/instances", responses=_RESPONSES, summary="Find a study's instances")
async def find_instances_of(request: Request, study: Uid, studies: Studies) -> Response:
    """Instances of one study."""
    return await _find(request, studies, "instances", StudyInstanceUID=study)


@router.get("/studies/{study}/series/{series}/instances", responses=_RESPONSES, summary="Find a series' instances")
async def find_instances_in(request: Request, study: Uid, series: Uid, studies: Studies) -> Response:
    """Instances of one series."""
    return await _find(request, studies, "instances", StudyInstanceUID=study, SeriesInstanceUID=series)
