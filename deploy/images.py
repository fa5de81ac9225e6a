"""Images by digest: `images.py` looks each tag up and writes its digest behind it, `--check` names those without.

An image is named in one place, where it is used: in the Dockerfile or in a compose file. Looking up takes docker (with
buildx) or skopeo, and a network.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Built here, from the Dockerfile; stages have no tag.
_OWN = "llm-cxr-server:"
_USED = re.compile(
    r"^(?:FROM|\s+image:) +(?P<image>[^\s@]+:[^\s@]+)(?P<digest>@sha256:[0-9a-f]{64})?(?=\s|$)", re.MULTILINE
)


def files() -> list[Path]:
    """Where images are named."""
    return [ROOT / "Dockerfile", *sorted(ROOT.glob("docker-compose*.yml"))]


def used(text: str) -> dict[str, str]:
    """Digests by image with its tag; empty where there is none."""
    found = {one["image"]: one["digest"] or "" for one in _USED.finditer(text)}
    return {image: digest for image, digest in found.items() if not image.startswith(_OWN)}


def look_up(image: str) -> str:
    """Digest of what the registry has under the tag now, for all platforms."""
    if shutil.which("docker"):
        command = ["docker", "buildx", "imagetools", "inspect", image, "--format", "{{json .Manifest}}"]
    elif shutil.which("skopeo"):
        command = ["skopeo", "inspect", "--raw", f"docker://{image}"]
    else:
        sys.exit("Looking digests up takes docker (with buildx) or skopeo. Nothing was changed.")
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{image}: {done.stderr.decode(errors='replace').strip()}\nNothing was changed.")
    if command[0] == "skopeo":
        return f"sha256:{hashlib.sha256(done.stdout).hexdigest()}"
    digest = str(json.loads(done.stdout).get("digest", ""))
    if not re.fullmatch("sha256:[0-9a-f]{64}", digest):
        sys.exit(f"{image}: docker names no digest. Nothing was changed.")
    return digest


def check() -> None:
    """Fail where an image is named by its tag alone."""
    found = {image: digest for path in files() for image, digest in used(path.read_text()).items()}
    bare = [image for image, digest in found.items() if not digest]
    if bare:
        sys.exit(
            f"Not by digest: {', '.join(bare)}. A tag may be another image tomorrow: `make lock-images`, where a "
            "registry can be reached."
        )
    print(f"All {len(found)} images are by digest.")


def lock() -> None:
    """Look everything up first, so that all of it is written or nothing."""
    texts = {path: path.read_text() for path in files()}
    digests = {image: look_up(image) for text in texts.values() for image in used(text)}
    for path, text in texts.items():
        for image, old in used(text).items():
            text = text.replace(f"{image}{old}", f"{image}@{digests[image]}")
        path.write_text(text)
    print("\n".join(f"{image}@{digest}" for image, digest in digests.items()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="name what is not by digest, and look nothing up")
    if parser.parse_args().check:
        check()
    else:
        lock()
