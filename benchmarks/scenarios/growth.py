"""How time grows: with drawings at once, with the length of a prompt, with the studies that are held."""

import asyncio
import base64
import time
import uuid
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydicom.uid import generate_uid

from app.store.database import Database, database_url
from app.store.tables import instances, jobs, studies
from benchmarks.clients.http import Body, Client
from benchmarks.measure import Result, Spread, percentile, timed
from benchmarks.scenarios.drawing import drawings
from benchmarks.scenarios.reports import radiographs
from benchmarks.scenarios.studies import stow
from benchmarks.service import FAKES, Service
from benchmarks.suite import Suite

_CONCURRENCY = (1, 2, 4, 8, 16, 32, 64)
_CHARACTERS = (100, 400, 1_000, 1_900)  # of hexadecimal words, each nearly a token; the context is 2,048
_HELD = (10, 1_000, 10_000, 100_000)
_REPEATS = 20
_CHUNK = 5_000


async def concurrency(suite: Suite) -> Result:
    """Drawings a second and p95 of their latency, by how many are asked for at once."""
    figures: dict[str, dict[int, float]] = {"drawings_per_second": {}, "p95_seconds": {}}
    async with Client(suite.service().url) as client:
        await client.post(drawings(1, 70_999_999)[0])
        for count in _CONCURRENCY:
            bodies = drawings(count, 70_000_000 + 1000 * count)
            started = time.perf_counter()
            latencies = await asyncio.gather(*(timed(client.post(body)) for body in bodies))
            figures["drawings_per_second"][count] = round(count / (time.perf_counter() - started), 4)
            figures["p95_seconds"][count] = round(percentile(latencies, 0.95), 3)
    return Result("concurrency", "Drawings at once, 1 to 64", figures)


async def prompt_length(suite: Suite) -> Result:
    """Seconds to the one token of an answer, by the length of the question, which no cache knows."""
    model = suite.bundle.manifest.label
    uri = f"data:application/dicom;base64,{base64.b64encode(radiographs(1, 81_000_000)[0]).decode()}"
    image = {"type": "image_url", "image_url": {"url": uri}}
    figures: dict[str, dict[int, float]] = {"seconds": {}}
    async with Client(suite.service().url) as client:
        for characters in _CHARACTERS:
            seconds, tokens = [], 0
            for _ in range(suite.rounds + 2):
                words = " ".join(uuid.uuid4().hex[:7] for _ in range(characters // 8))
                # About an image that is read once: without one the chat refuses.
                tokens = len(suite.bundle.prompts.answer([0] * suite.bundle.image_tokens, words))
                message = {"role": "user", "content": [{"type": "text", "text": words}, image]}
                content = {"model": model, "messages": [message], "max_tokens": 1, "modalities": ["text"]}
                seconds.append(await timed(client.post(Body.from_json("/v1/chat/completions", content))))
            figures["seconds"][tokens] = round(Spread.from_values(seconds).median, 4)
    return Result("prompt_length", "Time to one token by the prompt's length in tokens", figures)


async def held_studies(suite: Suite) -> Result:
    """Milliseconds of what asks the database, by the number of studies that are held; on the fakes."""
    figures: dict[str, dict[int, float]] = {}
    with Service(suite.folder / "held", program=FAKES, settings={"CXR_STUDY__QUIET_SECONDS": "3600"}) as service:
        state = suite.folder / "held" / "state"
        held = 0
        async with Client(service.url) as client:
            for count in _HELD:
                await asyncio.to_thread(hold, state, held, count)
                held = count
                stored = [stow([image]) for image in radiographs(_REPEATS, 80_000_000 + count)]
                paths = {
                    "list jobs": "/v1/jobs?limit=20",
                    "find a patient's studies": "/dicom-web/studies?PatientID=P7",
                    "find by date": "/dicom-web/studies?StudyDate=20260107&limit=20",
                    "metrics": "/metrics",
                }
                found = {name: [await timed(client.get(path)) for _ in range(_REPEATS)] for name, path in paths.items()}
                found["store an instance"] = [await timed(client.post(body)) for body in stored]
                for name, seconds in found.items():
                    figures.setdefault(name, {})[count] = round(1e3 * Spread.from_values(seconds).median, 2)
    return Result(
        "held_studies", "Requests that ask the database, by studies held", {"p50_ms": figures}, note="SQLite; fakes."
    )


def hold(state_dir: Path, first: int, until: int) -> None:
    """Record studies that are done, one instance each, as many days ago as the database has had them."""
    engine = Database(database_url(None, state_dir)).engine
    now = time.time()
    for begin in range(first, until, _CHUNK):
        numbers = range(begin, min(begin + _CHUNK, until))
        rows = [_rows(number, now) for number in numbers]
        with engine.begin() as connection:
            for table, index in ((studies, 0), (instances, 1), (jobs, 2)):
                connection.execute(sa.insert(table), [row[index] for row in rows])
    engine.dispose()


def _rows(number: int, now: float) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    study, identity = str(generate_uid()), uuid.uuid4().hex
    date = f"202601{1 + number % 28:02d}"
    created = now - 60.0 * number
    attributes = {
        "0020000D": {"vr": "UI", "Value": [study]},
        "00100020": {"vr": "LO", "Value": [f"P{number}"]},
        "00080020": {"vr": "DA", "Value": [date]},
    }
    return (
        {
            "study_uid": study,
            "patient_id": f"P{number}",
            "patient_name": f"PATIENT^{number}",
            "study_date": date,
            "accession_number": f"A{number}",
            "attributes": attributes,
            "revision": 1,
            "job": None,
            "created": created,
        },
        {
            "sop_instance_uid": str(generate_uid()),
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.1",
            "study_uid": study,
            "series_uid": str(generate_uid()),
            "transfer_syntax_uid": "1.2.840.10008.1.2.1",
            "modality": "CR",
            "attributes": {},
            "sha256": identity * 2,
            "bytes": 1,
            "file": None,
            "origin": "input",
            "sender": "bench",
            "job": identity,
            "received": created,
        },
        {
            "id": identity,
            "study_uid": study,
            "revision": 1,
            "state": "done",
            "runs": 1,
            "attempts": 1,
            "created": created,
            "updated": created,
            "last_received": created,
            "steps": [],
            "skipped": [],
            "documents": [],
        },
    )
