"""The soak at reduced size: kills, PostgreSQL, a destination that is down, a disk that is full."""

import subprocess
import time
from pathlib import Path

import httpx
import pytest

from app.server.run import FAILED_STATUS
from benchmarks.soak import soak
from tests.support.connections import FAILED_CONNECTIONS
from tests.support.full_disk import small_disk
from tests.support.postgres import postgresql
from tests.support.process import ServiceProcess
from tests.support.studies import instance, multipart

pytestmark = FAILED_CONNECTIONS


def test_no_study_is_lost_or_reported_twice_when_the_service_is_killed(tmp_path: Path) -> None:
    assert soak(tmp_path, studies=12, faults={"gateway": 2}).reports == 12


@pytest.mark.slow
def test_the_same_with_postgresql(tmp_path: Path) -> None:
    with postgresql() as url:
        assert soak(tmp_path, studies=12, faults={"gateway": 2}, CXR_DATABASE_URL=url).reports == 12


@pytest.mark.slow
def test_the_same_while_the_destination_is_down(tmp_path: Path) -> None:
    assert soak(tmp_path, studies=8, faults={"gateway": 1}, down_seconds=12.0).reports == 8


def test_the_same_while_parts_die_the_clock_jumps_and_the_service_is_replaced(tmp_path: Path) -> None:
    faults = ("decoder", "decoder stopped", "engine", "codec", "clock an hour forward", "clock an hour back")
    outcome = soak(tmp_path, studies=16, faults=dict.fromkeys(faults, 1), has_upgrade=True)
    assert outcome.reports == 16
    assert outcome.ends == {FAILED_STATUS: 2}


@pytest.mark.parametrize("margin_mb", [8, 0])
def test_a_full_disk_refuses_studies_and_recovers(tmp_path: Path, margin_mb: int) -> None:
    """With a margin the watermark refuses; without one the disk itself runs full in the middle of a write."""
    with small_disk(tmp_path / "disk", 24) as disk:
        settings = {"CXR_STATE_DIR": str(disk), "CXR_LIMITS__MIN_FREE_MB": str(margin_mb)}
        settings["CXR_STUDY__QUIET_SECONDS"] = "0"  # so that some are being read when the disk is full
        with ServiceProcess(tmp_path / "service", **settings) as service:
            images = [instance() for _ in range(14)]  # 2 MB each
            statuses = []
            for data in images:
                body, headers = multipart([data])
                statuses.append(
                    httpx.post(f"{service.url}/dicom-web/studies", content=body, headers=headers).status_code
                )
            assert set(statuses) == {200, 507}, statuses
            kept = statuses.count(200)
            assert not list((disk / "spool").glob("*.whole"))
            assert len(list((disk / "spool").glob("*.dcm"))) >= kept
            _grow(disk, 96)
            until = time.monotonic() + 60
            for data in images:  # a PACS sends again what was refused
                assert _post(service, data) == 200
            while time.monotonic() < until:
                jobs = service.jobs()["data"]
                if len(jobs) == len(images) and all(job["state"] == "done" for job in jobs):
                    break
                time.sleep(0.2)
            assert [job["state"] for job in service.jobs()["data"]] == ["done"] * len(images)


def _post(service: ServiceProcess, data: bytes) -> int:
    body, headers = multipart([data])
    return httpx.post(f"{service.url}/dicom-web/studies", content=body, headers=headers).status_code


def _grow(disk: Path, megabytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={megabytes}m", str(disk)], check=True)
