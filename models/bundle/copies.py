"""An optional part of a bundle: the index of its training films, put into one that exists."""

from pathlib import Path

from models.bundle.manifest import COPIES_FOLDER, Manifest
from models.bundle.parts import put_part
from models.copies.index import CopyIndex


def add_copies(bundle: Path, index: CopyIndex) -> Manifest:
    """Put an index into a bundle, in the place of one that is there. Raises BundleError."""
    return put_part(bundle, (COPIES_FOLDER,), lambda partial: index.save(partial / COPIES_FOLDER))
