"""Puts an optional part into a bundle that exists."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from models.bundle.load import file_entries, load
from models.bundle.manifest import MANIFEST_FILE, Manifest, write_manifest


def put_part(bundle: Path, renewed: tuple[str, ...], write: Callable[[Path], None]) -> Manifest:
    """Renew files and folders of a bundle, by their names: `write` puts the new ones into the folder that it is given.

    The new bundle is put together and checked beside the old one, which it then replaces; files that stay are links to
    the same data where the file system has them. Raises BundleError.
    """
    known = load(bundle).manifest
    partial, former = (bundle.with_name(f"{bundle.name}.{word}") for word in ("partial", "former"))
    for folder in (partial, former):
        shutil.rmtree(folder, ignore_errors=True)
    # What is written anew must be no link, which would change the old bundle's.
    left_out = shutil.ignore_patterns(*renewed, MANIFEST_FILE)
    shutil.copytree(bundle, partial, copy_function=_link, ignore=left_out)
    write(partial)
    manifest = known.model_copy(update={"files": file_entries(partial)})
    write_manifest(partial, manifest)
    load(partial)
    bundle.rename(former)
    partial.rename(bundle)
    shutil.rmtree(former)
    return manifest


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
