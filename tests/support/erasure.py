"""A patient's studies, and where anything of the patient is found."""

import subprocess
from pathlib import Path
from typing import Any

from tests.support.service import Service
from tests.support.studies import finished, instance, parsed, stow

WORDS = {
    "PatientName": "SENTINELNAME^X",
    "PatientID": "SENTINELID",
    "AccessionNumber": "SENTINELACC",
    "StudyDescription": "SENTINELDESC",
    "ReferringPhysicianName": "SENTINELREF",
    "PatientBirthDate": "19010203",
}
SENTINELS = [value.partition("^")[0].encode() for value in WORDS.values()]
OTHER = {"PatientID": "OTHERID", "PatientName": "OTHERNAME^Y"}


def found_in(folder: Path, url: str | None) -> dict[str, list[bytes]]:
    """Files of the state folder, and the database's dump, with what of the patient they hold."""
    texts = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    if url is not None:
        texts["dump"] = subprocess.run(["pg_dump", url], check=True, capture_output=True).stdout
    words = [*SENTINELS, *(word.decode().encode("utf-16-le") for word in SENTINELS)]
    return {name: held for name, text in texts.items() if (held := [word for word in words if word in text])}


async def study_of(service: Service, **attributes: Any) -> str:
    data = instance(**attributes)
    uid = str(parsed(data).StudyInstanceUID)
    assert (await stow(service.client, data)).status_code in (200, 202)
    await finished(service.client, uid)
    return uid
