"""PyTorch files read without running what is pickled in them."""

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from models.importers.errors import ImportRefused

# PyTorch Lightning files name classes of its callbacks and of OmegaConf beside the weights.
_HARMLESS = ("pytorch_lightning.", "lightning.", "omegaconf.")


class _Placeholder:
    """Stands for a pickled object that is not needed."""

    def __init__(self, *arguments: object, **named: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...

    def __hash__(self) -> int:
        return id(self)


def load_pickle(file: Path) -> dict[str, Any]:
    """The tensors of a `.ckpt` or `.bin` file, mapped from disk where its format allows it.

    Raises ImportRefused where the file is damaged or holds anything that is not data.
    """
    if not file.is_file():
        raise ImportRefused(f"{file.name}: there is no such file")
    try:
        # Files from before PyTorch 1.6 are no archives: they can be read, but neither mapped nor listed.
        mapped = zipfile.is_zipfile(file)
        unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(str(file)) if mapped else []
        allowed: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
            (_Placeholder, name) for name in unsafe if name.startswith(_HARMLESS)
        ]
        with warnings.catch_warnings(), torch.serialization.safe_globals(allowed):
            # What torch warns about ends in an error or in tensors, both of which are reported below.
            warnings.simplefilter("ignore")
            found = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:
        first = str(error).split("\n")[0][:200]
        if "Unsupported" in str(error) or "GLOBAL" in str(error):
            raise ImportRefused(f"{file.name} holds code and not only weights; it was not run") from error
        raise ImportRefused(f"{file.name} is damaged or not a PyTorch file: {first}") from error
    if not isinstance(found, dict):
        raise ImportRefused(f"{file.name} holds a {type(found).__name__}, not tensors by name")
    return found
