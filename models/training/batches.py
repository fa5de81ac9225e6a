"""Batches of the mixture, made beside the trainer by worker processes: a GPU is faster than Python composes texts."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from models.training.mixture import Mixture

_AHEAD = 6


class _Steps(Dataset):
    def __init__(self, mixture: Mixture, size: int, seed: str) -> None:
        self._mixture, self._size, self._seed = mixture, size, seed

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        return self._mixture.batch(step, self._size, self._seed)


class Batches:
    """The mixture's batches in the order of their steps, the same for any number of workers."""

    def __init__(self, mixture: Mixture, size: int, seed: str, last: int, workers: int = 0) -> None:
        """Batches of `size` for the steps before `last`; without `workers`, they are made as they are asked for."""
        self._steps = _Steps(mixture, size, seed)
        self._last = last
        self._workers = workers
        self._next = -1
        self._made: Iterator[tuple[Tensor, Tensor]] = iter(())

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Ids and weights of `step`, as `Mixture.batch` gives them."""
        if not self._workers or step >= self._last:
            return self._steps[step]
        if step != self._next:
            loader = DataLoader(
                self._steps,
                batch_size=None,
                sampler=range(step, self._last),
                num_workers=self._workers,
                prefetch_factor=_AHEAD,
                pin_memory=torch.cuda.is_available(),
            )
            self._made = iter(loader)
        self._next = step + 1
        return next(self._made)
