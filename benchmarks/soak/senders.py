"""Senders that repeat an instance until it is acknowledged, as a PACS does, by STOW-RS and by C-STORE in turn."""

import contextlib
import random
import time
from dataclasses import dataclass

import httpx
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE

from app.third_parties import set_up_pynetdicom
from benchmarks.instances import instance, multipart, parsed

set_up_pynetdicom()

_WAIT_SECONDS = 0.2
_ANSWER_SECONDS = 120.0  # longer than a service waits for its database


@dataclass(frozen=True)
class Study:
    """A study to send: a frontal radiograph, and for some a lateral one that is not to be read."""

    uid: str
    instances: tuple[bytes, ...]


@dataclass(frozen=True)
class Address:
    """Where the service takes instances."""

    url: str
    dimse_port: int


def make_study(has_lateral: bool) -> Study:
    """A study that is nobody's."""
    frontal = instance()
    uid = str(parsed(frontal).StudyInstanceUID)
    if not has_lateral:
        return Study(uid, (frontal,))
    lateral = instance(StudyInstanceUID=uid, SeriesInstanceUID=generate_uid(), ViewPosition="LL")
    return Study(uid, (frontal, lateral))


def send(study: Study, address: Address, until: float) -> list[str]:
    """SOP Instance UIDs that were acknowledged by the monotonic time `until`: all, or what was sent before that."""
    acknowledged = []
    for data in study.instances:
        while time.monotonic() < until:
            by_stow = random.random() < 0.5
            with contextlib.suppress(httpx.HTTPError, RuntimeError, OSError, AttributeError):
                if (_stow if by_stow else _c_store)(data, address):
                    acknowledged.append(str(parsed(data).SOPInstanceUID))
                    break
            time.sleep(_WAIT_SECONDS)
    return acknowledged


def _stow(data: bytes, address: Address) -> bool:
    body, headers = multipart([data])
    answer = httpx.post(f"{address.url}/dicom-web/studies", content=body, headers=headers, timeout=_ANSWER_SECONDS)
    return answer.status_code == httpx.codes.OK


def _c_store(data: bytes, address: Address) -> bool:
    dataset = parsed(data)
    entity = AE(ae_title="SOAK")
    entity.acse_timeout = entity.network_timeout = 10.0
    entity.dimse_timeout = _ANSWER_SECONDS
    entity.add_requested_context(dataset.SOPClassUID, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", address.dimse_port, ae_title="LLMCXR")
    if not association.is_established:
        return False
    try:
        # A status that is missing is an AttributeError: the connection was lost before the answer.
        return int(association.send_c_store(dataset).Status) == 0x0000
    finally:
        association.release()
