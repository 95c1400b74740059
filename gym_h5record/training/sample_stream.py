"""Samples in the order of an epoch: those of several batches are decoded at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gym_h5record.training.item_store import Memory
from gym_h5record.training.orders import ChunkOrder, Order
from gym_h5record.training.priorities import PriorityOrder
from gym_h5record.training.sample_reader import FoundSamples, SampleReader
from gym_h5record.training.step_source import StepSource, Transitions
from gym_h5record.training.transforms import Transforms

__all__ = ["SampleStream"]

INDICES = "indices"
PROBABILITIES = "probabilities"


@dataclass(frozen=True)
class _Found:
    epoch: int
    start: int
    stop: int
    samples: FoundSamples
    distinct: np.ndarray


class SampleStream:
    """Reads samples by their positions in an epoch.

    Args:
        source: The episodes.
        transitions: The steps that can be sampled.
        order: Which of them stands where.
        reader: Reads them.
        most_samples: How many are decoded at once, if they are read one behind the other.
        transforms: What changes the values of samples, if anything does.
    """

    def __init__(
        self,
        source: StepSource,
        transitions: Transitions,
        order: Order,
        reader: SampleReader,
        most_samples: int,
        transforms: Transforms | None = None,
    ) -> None:
        self._source = source
        self._transitions = transitions
        self._order = order
        self._reader = reader
        self._most_samples = most_samples
        self._transforms = transforms
        self._kept: list[tuple[_Found | None, Memory]] = []  # empty while a thread copies from it

    def batch(self, epoch: int, start: int, stop: int, limit: int | None = None) -> dict[str, Any]:
        """The samples at positions ``start`` to ``stop`` of an epoch.

        Args:
            epoch: The epoch.
            start: The first position.
            stop: The position behind the last.
            limit: The position behind the last one that may be decoded now, for the next batches; None for ``stop``.

        Raises:
            RecordingClosedError: If the recording is closed.
        """
        self._source.storage.handle.check_open()  # samples that were decoded ahead would still be there
        found, memory = self._taken()
        if found is None or found.epoch != epoch or not found.start <= start <= stop <= found.stop:
            last = stop if limit is None else max(min(self._ahead(start), limit), stop)
            found = _Found(epoch, start, last, *self._find(epoch, np.arange(start, last), memory))
        within = slice(start - found.start, stop - found.start)
        batch = found.samples.batch(within.start, within.stop)
        self._kept = [(None if limit is None else found, memory)]
        return batch if self._transforms is None else self._transforms.applied(batch, epoch, found.distinct[within])

    def numbered(self, samples: np.ndarray) -> dict[str, Any]:
        """The samples of these numbers, ``(n,)`` int64 from 0 through all episodes, whatever the order of an epoch.

        Transforms do not change them: they belong to an epoch.
        """
        if self._source.storage.may_move:
            self._source.check_unchanged()
        return self._reader.find(*self._transitions.places(samples), {}).batch(0, len(samples))

    def forget(self) -> None:
        """Forget the samples that were decoded for the next batches: others may be drawn now."""
        self._kept = [(None, memory) for _, memory in self._kept]

    def _taken(self) -> tuple[_Found | None, Memory]:
        """The samples that were decoded last and their memory, for the caller alone: another thread gets new memory."""
        try:
            return self._kept.pop()
        except IndexError:
            return None, Memory()

    def _ahead(self, start: int) -> int:
        """The position up to which samples are decoded together."""
        if isinstance(self._order, ChunkOrder):
            return start - start % self._order.pool_size + self._order.pool_size
        return start + self._most_samples

    def _find(self, epoch: int, positions: np.ndarray, memory: Memory) -> tuple[FoundSamples, np.ndarray]:
        if self._source.storage.may_move:
            self._source.check_unchanged()
        samples = self._order.samples(epoch, positions)
        further = {}
        if isinstance(self._order, PriorityOrder):
            further = {INDICES: samples, PROBABILITIES: self._order.probabilities(samples)}
        found = self._reader.find(*self._transitions.places(samples), further, memory)
        return found, self._order.distinct(samples, positions)
