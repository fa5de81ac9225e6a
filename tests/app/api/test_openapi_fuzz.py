"""The running service against its own description: generated requests never meet a 5xx or an undocumented status."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from app.main import create_app
from app.settings import Settings
from tests.support.process import ServiceProcess

CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
]
_SCHEMA = schemathesis.openapi.from_dict(create_app(Settings(state_dir=Path("unused"))).openapi())
OPERATIONS = {operation.label: operation for operation in (found.ok() for found in _SCHEMA.get_all_operations())}

_BOUNDARY = "fuzz"


@schemathesis.serializer('multipart/related; type="application/dicom"')
def _related(_: object, value: object) -> bytes:
    parts = value if isinstance(value, list) else [value]
    opening = f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    datas = (part if isinstance(part, bytes) else str(part).encode("utf-8", "replace") for part in parts)
    return b"".join(opening + data + b"\r\n" for data in datas) + f"--{_BOUNDARY}--\r\n".encode()


pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ServiceProcess(tmp_path_factory.mktemp("fuzz")) as service:
        yield service.url


def fuzz(url: str, label: str, examples: int, **more: object) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None, **more)
    @given(case=OPERATIONS[label].as_strategy())
    def check(case: schemathesis.Case) -> None:
        related = str(case.media_type).startswith("multipart/related")
        headers = {"Content-Type": f'{case.media_type}; boundary="{_BOUNDARY}"'} if related else None
        case.call_and_validate(base_url=url, checks=CHECKS, timeout=30, headers=headers)

    check()


@pytest.mark.parametrize("label", OPERATIONS)
def test_generated_requests_get_documented_answers(url: str, label: str) -> None:
    fuzz(url, label, 20, derandomize=True)


@pytest.mark.slow
@pytest.mark.parametrize("label", OPERATIONS)
def test_many_generated_requests_get_documented_answers(url: str, label: str) -> None:
    fuzz(url, label, 400)
