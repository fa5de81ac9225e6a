"""Images are named by digest, each in one place, and `make lock-images` writes the digests."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.images import files, used
from tests.support.service import ROOT

OLD, NEW = "a" * 64, "b" * 64
# No registry could be reached when the digests were written; this one's digest is not known.
NOT_LOOKED_UP = {"orthancteam/orthanc:25.6.4"}


class Checkout:
    """Files that name images, and a docker that knows digests."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.docker = folder, folder / "bin" / "docker"
        for name in ("deploy", "bin"):
            (folder / name).mkdir()
        shutil.copy(ROOT / "deploy" / "images.py", folder / "deploy")
        (folder / "Dockerfile").write_text(f"FROM python:3.11@sha256:{OLD} AS base\nFROM base AS build\n")
        (folder / "docker-compose.yml").write_text(
            "services:\n  own:\n    image: llm-cxr-server:cpu\n  one:\n    image: made/one:1.0\n    ports: []\n"
        )
        answer = json.dumps({"mediaType": "application/vnd.oci.image.index.v1+json", "digest": f"sha256:{NEW}"})
        self.answer(f"echo '{answer}'")

    def answer(self, script: str) -> None:
        self.docker.write_text(f"#!/bin/sh\n{script}\n")
        self.docker.chmod(0o755)

    def run(self, *words: str, status: int = 0) -> str:
        command = [sys.executable, str(self.folder / "deploy" / "images.py"), *words]
        environment = os.environ | {"PATH": str(self.docker.parent)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def texts(self) -> tuple[str, str]:
        return (self.folder / "Dockerfile").read_text(), (self.folder / "docker-compose.yml").read_text()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_every_image_but_what_could_not_be_looked_up_is_by_digest() -> None:
    found = {image: digest for path in files() for image, digest in used(path.read_text()).items()}
    assert {image.split(":")[0] for image in found} == {
        "python",
        "orthancteam/orthanc",
        "prom/prometheus",
        "grafana/grafana",
    }
    assert {image for image, digest in found.items() if not digest} == NOT_LOOKED_UP


def test_an_image_is_named_in_one_place() -> None:
    texts = {path: path.read_text() for path in files()}
    texts |= {path: path.read_text() for path in (*(ROOT / "deploy").rglob("*.y*ml"), *ROOT.glob("*.md"))}
    images = {image for text in texts.values() for image in used(text)}
    for image in images:
        name = re.escape(image.split(":")[0])
        named = [one for text in texts.values() for one in re.findall(rf"(?<![\w/.-]){name}:v?\d[\w.-]*", text)]
        assert named == [image]


def test_the_check_names_what_has_a_tag_alone(checkout: Checkout) -> None:
    said = checkout.run("--check", status=1)
    assert said.startswith("Not by digest: made/one:1.0.")
    checkout.run()
    assert checkout.run("--check") == "All 2 images are by digest.\n"


def test_looking_up_writes_the_digest_behind_each_tag_and_leaves_our_own_image(checkout: Checkout) -> None:
    assert checkout.run() == f"python:3.11@sha256:{NEW}\nmade/one:1.0@sha256:{NEW}\n"
    dockerfile, compose = checkout.texts()
    assert dockerfile.splitlines()[0] == f"FROM python:3.11@sha256:{NEW} AS base"
    assert f"    image: made/one:1.0@sha256:{NEW}\n    ports: []" in compose
    assert "image: llm-cxr-server:cpu\n" in compose


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ('[ "$4" = python:3.11 ] || { echo no such tag >&2; exit 1; }; echo "{}"', "docker names no digest"),
        ("echo no route to host >&2; exit 1", "python:3.11: no route to host"),
    ],
)
def test_where_one_cannot_be_looked_up_nothing_is_changed(checkout: Checkout, script: str, sentence: str) -> None:
    before = checkout.texts()
    checkout.answer(script)
    said = checkout.run(status=1)
    assert sentence in said
    assert "Nothing was changed." in said
    checkout.docker.unlink()
    assert "takes docker (with buildx) or skopeo" in checkout.run(status=1)
    assert checkout.texts() == before
