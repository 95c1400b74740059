"""``Sampler``: batches of transitions and windows, straight from a recording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gym_h5record.display import counted
from gym_h5record.errors import OptionError
from gym_h5record.training.orders import ChunkOrder
from gym_h5record.training.priorities import PriorityOrder
from gym_h5record.training.sampler_options import SamplerOptions
from gym_h5record.training.sampling_plan import plan_samples
from gym_h5record.training.step_source import StepSource

__all__ = ["Sampler"]


class Sampler:
    """Batches of a recording, or of some of its episodes: what ``recording.sampler(...)`` returns.

    ``for batch in sampler`` gives the batches of the current epoch, from the current one on, and then the next epoch
    begins. So a loop that was left goes on where it stopped, and ``next(iter(sampler))`` gives the next batch.

    Which samples a batch has depends on the options, the epoch and the number of the batch only. A sampler can be
    pickled and survives ``fork``: every process opens the file for itself.

    Args:
        source: The episodes.
        options: What ``recording.sampler`` was given.

    Attributes:
        options: The options.
        num_samples: Steps, or whole episodes, that can be sampled: those of all ranks together.
        stream: Reads samples by their positions in an epoch, not only whole batches.
        has_new_priorities: Whether priorities change, so that no batch is decoded before it is asked for.
    """

    def __init__(self, source: StepSource, options: SamplerOptions) -> None:
        self._source = source
        self.options = options
        plan = plan_samples(source, options)
        self.stream = plan.stream
        self._order = plan.order
        self._size, self._least_size = plan.order.size, plan.order.least_size
        self.num_samples = plan.num_samples
        self.has_new_priorities = False
        self._epoch = self._next = 0

    def __len__(self) -> int:
        """Batches of an epoch, for this rank. Of samples drawn with replacement, all ranks have the same number."""
        size = self.options.batch_size
        if self.options.is_drawn:  # every batch is whole
            return max(-(-self._least_size // size), 1)
        return self._least_size // size if self.options.drop_last else -(-self._size // size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The batches from the current one to the end of the epoch."""
        epoch = self._epoch
        while self._epoch == epoch and self._next < len(self):
            batch = self._read(self._epoch, self._next, is_next=True)
            self._next += 1  # before the caller has it: state_dict then names the batch behind it
            if self._next == len(self):
                self._epoch, self._next = epoch + 1, 0
            yield batch

    @property
    def epoch(self) -> int:
        """The epoch of the next batch."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch.

        Raises:
            OptionError: If it is negative, or no integer.
        """
        self._epoch, self._next = _checked("epoch", epoch), 0

    def batch(self, number: int, *, epoch: int | None = None) -> dict[str, Any]:
        """A batch by its number, whichever batches were read before. Iteration goes on as if it had not been read.

        Args:
            number: The number of the batch in the epoch.
            epoch: The epoch; None for the current one.

        Raises:
            IndexError: If an epoch has no such batch.
            OptionError: If a number is negative, or no integer.
        """
        if _checked("number", number) >= len(self):
            raise IndexError(f"there is no batch {number}: an epoch has {len(self)}")
        return self._read(self._epoch if epoch is None else _checked("epoch", epoch), number, is_next=False)

    @property
    def priorities(self) -> np.ndarray:
        """The weight of every step, ``(steps,)`` float64: what ``weights`` of a sampler that goes on from here must be.

        Raises:
            OptionError: If the sampler was made without a weight for each step.
        """
        return self._prioritised.priorities

    def update_priorities(self, indices: np.ndarray, priorities: np.ndarray) -> None:
        """Set the weights of some steps. From the next batch on, samples are drawn by them, one batch at a time.

        Args:
            indices: Which steps: those in ``batch["indices"]``, ``(n,)``. They number the steps of all episodes.
            priorities: Their weights, ``(n,)``, from 0 on.

        Raises:
            OptionError: If the sampler was made without a weight for each step, or one of the arrays is wrong.
        """
        self._prioritised.update(indices, priorities)
        self.stream.forget()
        self.has_new_priorities = True

    def state_dict(self) -> dict[str, Any]:
        """Where iteration is, as a dict of JSON values. ``load_state_dict`` goes there."""
        return {"epoch": self._epoch, "batch": self._next, "for": self._signature()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another sampler of the same options and episodes was.

        Raises:
            OptionError: If the state is that of a sampler with other options or episodes.
        """
        if not isinstance(state, Mapping):
            raise OptionError(f"expected what state_dict() returns, got {state!r:.80}")
        found, expected = state.get("for"), self._signature()
        found = found if isinstance(found, Mapping) else {}
        wrong = [name for name, each in expected.items() if found.get(name) != each]
        if wrong:
            its, own = (", ".join(f"{name}={each.get(name)!r:.80}" for name in wrong) for each in (found, expected))
            raise OptionError(
                f"the state is that of another sampler: {', '.join(wrong)} differ. The state has {its}, and this "
                f"sampler {own}"
            )
        epoch, number = _checked("epoch", state.get("epoch")), _checked("batch", state.get("batch"))
        if number >= max(len(self), 1):
            raise OptionError(f"the state names batch {number}, but an epoch has {len(self)}")
        self._epoch, self._next = epoch, number

    def __repr__(self) -> str:
        noun = "whole episode" if self.options.whole_episodes else "step"
        what = f"{counted(self.num_samples, noun)} in batches of {self.options.batch_size}"
        return f"<Sampler of {str(self._source.path)!r}: {what}>"

    def __reduce__(self) -> tuple[Any, ...]:
        options = self.options
        if self.has_new_priorities:
            options = replace(options, weights=self.priorities)
        return partial(_again, self._epoch, self._next), (self._source, options)

    def _read(self, epoch: int, number: int, *, is_next: bool) -> dict[str, Any]:
        start = number * self.options.batch_size
        stop = start + self.options.batch_size
        limit = max(self._size, stop) if self.options.is_drawn else self._size
        is_ahead = is_next and not self.has_new_priorities
        return self.stream.batch(epoch, start, min(stop, limit), limit if is_ahead else None)

    def _signature(self) -> dict[str, Any]:
        order = self._order
        signature = {"episodes": self._source.digest(), "num_samples": self.num_samples, **self.options.signature()}
        if isinstance(order, PriorityOrder):
            signature["weights"] = order.digest()
        if isinstance(order, ChunkOrder):  # their sizes depend on the columns and on memory_bytes
            block, pool = min(order.block_size, self.num_samples), min(order.pool_size, order.size)
            signature["order"] = f"chunk, blocks of {block}, pools of {pool}"
        return signature

    @property
    def _prioritised(self) -> PriorityOrder:
        if not isinstance(self._order, PriorityOrder):
            raise OptionError("priorities: this sampler has none, it was made without weights=[...] for each step")
        return self._order


def _again(epoch: int, number: int, source: StepSource, options: SamplerOptions) -> Sampler:
    """Make a sampler anew in another process, and go to its place."""
    sampler = Sampler(source, options)
    sampler.set_epoch(epoch)
    sampler.load_state_dict({**sampler.state_dict(), "batch": number})
    return sampler


def _checked(name: str, number: Any) -> int:
    if type(number) is bool or not hasattr(number, "__index__") or number < 0:
        raise OptionError(f"{name}: expected an integer from 0 on, got {number!r:.80}")
    return int(number)
