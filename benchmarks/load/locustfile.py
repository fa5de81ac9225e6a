"""What 64 mixed clients ask of the service; `benchmarks.load.load` starts it."""

import os
from typing import Any

from locust import HttpUser, between, task

from app.dicom.sample import sample_dicom

DICOM = sample_dicom()
WAIT = float(os.environ.get("LOAD_WAIT_SECONDS", "1"))


class Client(HttpUser):
    """Reports mostly, then answers, drawings, codes, looks at jobs. A 429 is an answer that was intended."""

    wait_time = between(WAIT / 2, WAIT * 1.5)

    def _ask(self, method: str, path: str, **arguments: Any) -> None:
        with self.client.request(method, path, catch_response=True, timeout=120, **arguments) as response:
            if response.status_code == 429 and "Retry-After" in response.headers:
                response.success()

    @task(6)
    def report(self) -> None:
        self._ask("POST", "/v1/reports", files={"image": DICOM})

    @task(3)
    def answer(self) -> None:
        self._ask("POST", "/v1/answers", files={"image": DICOM}, data={"question": "Is there pneumonia?"})

    @task(2)
    def draw(self) -> None:
        self._ask("POST", "/v1/images/generations", json={"prompt": "Normal chest radiograph."})

    @task(1)
    def tokens(self) -> None:
        self._ask("POST", "/v1/images/tokens", files={"image": DICOM})

    @task(1)
    def jobs(self) -> None:
        self._ask("GET", "/v1/jobs")
