"""QIDO-RS: what is held (PS3.18 10.6)."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydicom.datadict import keyword_for_tag, tag_for_keyword

from app.api.http.negotiation import negotiate
from app.api.http.responses import PROBLEMS
from app.api.http.visibility import reader_of, touched
from app.api.routes.dicomweb.common import DICOM_JSON, DicomJson, Studies, Uid, base_url
from app.dicom.attributes import value_of
from app.errors import InvalidRequest
from app.jobs.service import StudyService
from app.store.search import Level, Query
from app.store.search_keys import KEYS

router = APIRouter(prefix="/dicom-web", tags=["DICOMweb"], default_response_class=DicomJson)

_STUDY_UID, _SERIES_UID, _INSTANCE_UID, _PATIENT_ID = "0020000D", "0020000E", "00080018", "00100020"
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
            elif value and tag_for_keyword(keyword) is not None:
                # Left out of the search it would widen the answer to everybody's studies.
                raise InvalidRequest(f"{keyword}: is no key of searches here; give one of {', '.join(sorted(KEYS))}")
            else:
                unsupported.append("a parameter")
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
    return DicomJson(json.dumps([_with_url(one, level, base_url(request)) for one in found]), headers=headers)


def _with_url(item: dict[str, Any], level: Level, base: str) -> dict[str, Any]:
    """A result with its Retrieve URL (PS3.18 10.6.3.3)."""
    url = f"{base}/studies/{value_of(item, _STUDY_UID)}"
    if level != "studies":
        url += f"/series/{value_of(item, _SERIES_UID)}"
    if level == "instances":
        url += f"/instances/{value_of(item, _INSTANCE_UID)}"
    return {**item, "00081190": {"vr": "UR", "Value": [url]}}


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
