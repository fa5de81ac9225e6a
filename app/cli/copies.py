"""`cxr copies`: the index by which drawings are compared with the films that a bundle was trained on.

As in `training`, the training stack is imported inside the command.
"""

from app.cli.console import console
from app.cli.options import (
    DEFAULT_CACHE,
    BundleArgument,
    CacheOption,
    DataArgument,
    DeviceOption,
    SplitOption,
    training_errors,
)


def copies(
    bundle: BundleArgument,
    data: DataArgument,
    split: SplitOption = "validation",
    cache: CacheOption = DEFAULT_CACHE,
    device: DeviceOption = "cpu",
) -> None:
    """Put an index of the training split into the bundle, with the limit that another split's films set.

    The service compares each drawing with it then. It holds features and row numbers: no picture, file name or patient.
    """
    with training_errors():
        from models.bundle.copies import add_copies
        from models.evaluation.copies import index_of
        from models.evaluation.subject import Subject

        index = index_of(Subject(bundle, data, cache, split, device))
        add_copies(bundle, index)
    config = index.config
    held = ", ".join(f"{share}: {value:.3f}" for share, value in config.held_out.items())
    console.print(f"{config.films} films in the index, {config.held_out_films} held out", markup=False)
    console.print(f"similarity of held-out films by share: {held}", markup=False)
    console.print(f"limit: {config.limit:.3f}, which one of 1,000 such films exceeds", markup=False)
