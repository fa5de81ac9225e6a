"""STOW-RS: instances in, receipts out (PS3.18 10.5)."""

import json
import uuid
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from app.api.http.negotiation import negotiate
from app.api.http.problems import respond
from app.api.http.responses import PROBLEMS
from app.api.http.visibility import owner_of, touched
from app.api.request_scope import request_scope
from app.api.routes.dicomweb.common import DICOM_JSON, DicomJson, Studies, Uid, base_url
from app.api.state import state_of
from app.dicom.multipart import boundary_of, read_parts
from app.dicom.status import Receipt
from app.errors import ClientGone, MalformedInput, TooLarge
from app.ingest.receipt_log import log_receipts
from app.ingest.stow import StowReceiver, response_of, status_of, warning_of
from app.jobs.service import StudyService
from app.telemetry.metrics import INSTANCES

router = APIRouter(prefix="/dicom-web", tags=["DICOMweb"])

_ANSWER = {"content": {DICOM_JSON: {"schema": {"type": "object"}}}}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "All instances are stored", **_ANSWER},
    202: {"description": "Some are stored; the others' reasons are in the body", **_ANSWER},
    409: {"description": "None is stored; the reasons are in the body and the Warning header", **_ANSWER},
    507: {"description": "None is stored, since the disk is full", **_ANSWER},
    **{status: PROBLEMS[status] for status in (400, 406, 413, 415, 429, 500, 503)},
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            'multipart/related; type="application/dicom"': {
                "schema": {"type": "array", "items": {"type": "string", "format": "binary"}}
            }
        },
    }
}


async def _store(request: Request, studies: StudyService, study: str | None) -> Response:
    negotiate(request, (DICOM_JSON, "application/json"))
    boundary = boundary_of(request.headers.get("content-type", ""))
    sender = f"stow-{uuid.uuid4().hex}"
    state, identity = state_of(request), request_scope(request.scope).identity
    limits = state.settings.limits
    accept = partial(
        studies.ingest.accept,
        sender=sender,
        owner=owner_of(identity),
        reserve=partial(state.started_guard.limiter.reserve, identity),
        study=study,
    )
    receiver = StowReceiver(studies.ingest.new_file, accept, limits.max_instance_mb * 1_000_000, limits.max_instances)
    try:
        with studies.ingest.sending(sender):
            well_formed = await read_parts(boundary, request.stream(), receiver, receiver.catch_up)
            receipts = await receiver.finish()
    except TooLarge as error:
        return await _end(request, receiver, error)
    except ClientDisconnect as error:
        raise ClientGone("The client left.") from error
    if not receipts:
        raise MalformedInput("The request holds no instance.")
    if not well_formed and all(receipt.failure for receipt in receipts):
        raise MalformedInput("The multipart body is malformed.")
    return _respond(request, receipts, study)


async def _end(request: Request, receiver: StowReceiver, error: TooLarge) -> Response:
    """The request has ended at a limit: what came before stays, as its sender cannot take it back."""
    receipts = await receiver.finish()
    _count(request, receipts)
    kept = sum(receipt.failure is None for receipt in receipts)
    detail = f"{error.detail} {kept} of its first {len(receipts)} are stored; send the others in further requests."
    # Without closing, the server would go on reading what it has just refused.
    return respond(request, 413, "Content too large", detail, error.code, {"Connection": "close"})


def _count(request: Request, receipts: list[Receipt]) -> None:
    seen = touched(request)
    for receipt in receipts:
        if receipt.failure is None:
            seen.studies.add(str(receipt.study_instance_uid))
            seen.patients.add(receipt.patient_id)
            seen.instances += 1
    for receipt in receipts:
        INSTANCES.labels(source="stow", outcome=receipt.outcome).inc()


def _respond(request: Request, receipts: list[Receipt], study: str | None) -> Response:
    _count(request, receipts)
    log_receipts(receipts, source="stow")
    headers = {}
    warning = warning_of(receipts)
    if warning is not None:
        headers["Warning"] = warning
    status = status_of(receipts)
    if status in (429, 503, 507):
        waits = [receipt.retry_after for receipt in receipts if receipt.retry_after]
        headers["Retry-After"] = str(max(waits, default=60))
    return DicomJson(json.dumps(response_of(receipts, base_url(request), study)), status, headers)


@router.post("/studies", response_class=DicomJson, responses=_RESPONSES, openapi_extra=_BODY, summary="Store instances")
async def store(request: Request, studies: Studies) -> Response:
    """Store instances of any studies. One that is answered as stored is durable, and its study's report under way."""
    return await _store(request, studies, None)


@router.post(
    "/studies/{study}",
    response_class=DicomJson,
    responses=_RESPONSES,
    openapi_extra=_BODY,
    summary="Store instances of one study",
)
async def store_in_study(request: Request, study: Uid, studies: Studies) -> Response:
    """The same for one study; instances of another fail with A900."""
    return await _store(request, studies, study)
