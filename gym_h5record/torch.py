"""PyTorch: the transitions of a recording, and the batches of a sampler, as datasets for ``DataLoader``.

The tensors share memory with the arrays that are read: nothing is copied, unless a dtype is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gym_h5record.cached import cached_property
from gym_h5record.errors import MissingDependencyError, OptionError, UnsupportedSpaceError
from gym_h5record.reading.row_batches import map_leaves
from gym_h5record.reading.selection import EpisodeSet
from gym_h5record.training.sampler import Sampler
from gym_h5record.training.transition_source import TransitionSource
from gym_h5record.training.windows import Window

try:
    import torch
    from torch.utils.data import Dataset, IterableDataset, get_worker_info
except ImportError as error:
    raise MissingDependencyError(
        'gym_h5record.torch needs torch, which is not installed: pip install "gym_h5record[torch]"'
    ) from error

__all__ = ["SamplerDataset", "TransitionDataset"]

_PICTURES = {"observations": "observations", "next_observations": "observations", "frames": "frames"}
"""Columns that may have pictures, and the names of their windows."""

_CHANNELS = (1, 3, 4)
"""Grey, RGB, and RGBA or four stacked grey pictures."""

_MOST_WORKERS = 4096


class TransitionDataset(Dataset):
    """Every transition of a recording, in its order: a map-style dataset. Its ``len`` is the number of transitions.

    ``dataset[i]`` is one transition: a dict of tensors with the names of a sampler's batch, ``observations``,
    ``actions``, ``rewards``, ``next_observations``, ``terminations``, ``truncations``, ``dones``, ``episodes`` and
    ``steps``, and for Dict and Tuple spaces dicts and tuples of tensors. ``DataLoader`` asks for the transitions of a
    batch together, and they are read in one go. With ``collate_fn=dataset.collate`` they are not taken apart and
    stacked again, and tuples stay tuples.

    The dataset can be pickled, and works in processes that were forked or spawned: every process opens the file for
    itself. ``DistributedSampler`` and other samplers of PyTorch choose the order.

    Args:
        path: The file, or a recording or selection that is open.
        columns: The columns of a transition, as those of ``recording.sampler``; None for those above.
        window: More steps than one, by column, as that of ``recording.sampler``.
        n_step: Steps of which ``rewards`` is the discounted sum. If it is more than 1, there are ``"discounts"``.
        gamma: Discount of a step.
        pad: Steps of a window that the episode does not have: ``"repeat"``, ``"zero"``, or ``"drop"`` the transitions
            that have such steps.
        channels_first: Whether to give pictures as ``(C, H, W)``. Pictures are the uint8 leaves of ``observations``,
            ``next_observations`` and ``frames`` of at least three axes, the last of which is 1, 3 or 4 long. They are
            views: the order in memory is that of the file.
        dtype: The dtype of all leaves of floating point numbers, such as ``torch.float32``; None for that of the file.
        cache: What is decoded first, and kept in memory: nothing, ``"low_dim"`` for items of less than 1 KiB,
            ``"all"``. Forked workers share it, and every spawned worker decodes it for itself.

    Raises:
        OptionError: If an option is wrong or does not fit the recording.
        UnsupportedSpaceError: If the values of a column vary in size. When they are read, if PyTorch has no tensors of
            their dtype.
        RecordingError: If the file cannot be opened, as of ``Recording``.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | EpisodeSet,
        *,
        columns: Sequence[str] | None = None,
        window: Window | None = None,
        n_step: int = 1,
        gamma: float = 0.99,
        pad: str = "repeat",
        channels_first: bool = False,
        dtype: torch.dtype | None = None,
        cache: str | None = None,
    ) -> None:
        self._form = _TensorForm(channels_first, dtype, window)
        self._source = TransitionSource(
            path, columns=columns, window=window, n_step=n_step, gamma=gamma, pad=pad, cache=cache
        )

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One transition. Negative indices count from the end."""
        sample: dict[str, Any] = map_leaves(self._read([index]), lambda tensor: tensor[0])
        return sample

    def __getitems__(self, indices: Iterable[int]) -> Sequence[dict[str, Any]]:
        """Several transitions, read in one go."""
        numbers = list(indices)
        return _Samples(self._read(numbers), len(numbers))

    @staticmethod
    def collate(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Transitions as a batch, for ``DataLoader(dataset, collate_fn=dataset.collate)``.

        The batch is the one that was read if the transitions are those of one ``__getitems__``.
        """
        return samples.batch if isinstance(samples, _Samples) else _stacked(samples)

    def close(self) -> None:
        """Close the file, unless it was given open. Copies in other processes stay as they are."""
        self._source.close()

    def _read(self, indices: Iterable[int]) -> dict[str, Any]:
        return self._form.tensors(self._source.batch(indices))


class SamplerDataset(IterableDataset):
    """The batches of a sampler as tensors: an iterable dataset, for ``DataLoader(dataset, batch_size=None)``.

    One loop over the loader gives the batches of an epoch, and the next loop those of the next epoch. Workers share
    the batches out: worker k of n reads the batches k, k + n, ... of the epoch, and the loader gives them in the order
    of the sampler. So any number of workers gives the same batches.

    Without workers, the loop iterates the sampler. Workers have copies of it. They begin where the sampler stood when
    the dataset was made, or where ``set_epoch`` or ``load_state_dict`` of the dataset went later. A loop over workers
    that is left ends its epoch. Workers do not learn of ``sampler.update_priorities``.

    Args:
        sampler: What ``recording.sampler(...)`` returned.
        channels_first: Whether to give pictures as ``(C, H, W)``, as in ``TransitionDataset``.
        dtype: The dtype of all leaves of floating point numbers, such as ``torch.float32``; None for that of the file.

    Attributes:
        sampler: The sampler.

    Raises:
        OptionError: If an argument is wrong.
        UnsupportedSpaceError: When a batch is read, if PyTorch has no tensors of the dtype of a leaf.
    """

    def __init__(self, sampler: Sampler, *, channels_first: bool = False, dtype: torch.dtype | None = None) -> None:
        if not isinstance(sampler, Sampler):
            raise OptionError(f"sampler: expected what recording.sampler(...) returns, got {sampler!r:.80}")
        self.sampler = sampler
        options = sampler.options
        self._form = _TensorForm(channels_first, dtype, options.window, has_steps=options.whole_episodes)
        # In shared memory: the epoch and the batch where workers begin, and the loops that each worker began since.
        self._place = torch.zeros(2, dtype=torch.int64).share_memory_()
        self._begun = torch.zeros(_MOST_WORKERS, dtype=torch.int64).share_memory_()
        self._begin_here()

    def __len__(self) -> int:
        """Batches of an epoch, for this rank."""
        return len(self.sampler)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        return self._all() if worker is None else self._share(worker.id, worker.num_workers)

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch: see ``Sampler.set_epoch``."""
        self.sampler.set_epoch(epoch)
        self._begin_here()

    def state_dict(self, num_batches: int = 0) -> dict[str, Any]:
        """Where iteration is, as a dict of JSON values. ``load_state_dict`` goes there.

        Args:
            num_batches: How many batches the loop took from workers in this epoch. Workers read ahead, so that only
                the loop knows. Without workers, leave it out.

        Raises:
            OptionError: If the epoch has no such batches.
        """
        state = self.sampler.state_dict()
        num_loops = int(self._begun[0])
        if num_loops > 1:
            state |= {"epoch": state["epoch"] + num_loops - 1, "batch": 0}
        epochs, state["batch"] = divmod(state["batch"] + num_batches, len(self))
        if num_batches < 0 or (epochs, state["batch"]) > (1, 0):
            raise OptionError(f"num_batches: the loop cannot have taken {num_batches}, an epoch has {len(self)}")
        return {**state, "epoch": state["epoch"] + epochs}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another dataset or sampler of the same options was: see ``Sampler.load_state_dict``."""
        self.sampler.load_state_dict(state)
        self._begin_here()

    def _all(self) -> Iterator[dict[str, Any]]:
        try:
            for batch in self.sampler:
                yield self._form.tensors(batch)
        finally:
            self._begin_here()

    def _share(self, worker: int, num_workers: int) -> Iterator[dict[str, Any]]:
        """The batches of one worker in this loop."""
        epoch, first = self._place.tolist()
        num_loops = int(self._begun[worker])  # before this one
        self._begun[worker] += 1
        for number in range(worker if num_loops else first + worker, len(self), num_workers):
            yield self._form.tensors(self.sampler.batch(number, epoch=epoch + num_loops))

    def _begin_here(self) -> None:
        """Let workers begin where the sampler is."""
        state = self.sampler.state_dict()
        self._place[0], self._place[1] = state["epoch"], state["batch"]
        self._begun.zero_()


@dataclass(eq=False)
class _Samples(Sequence[dict[str, Any]]):
    """Samples that were read together. They are taken apart when one of them is asked for.

    Attributes:
        batch: The samples as a batch.
        size: How many they are.
    """

    batch: dict[str, Any]
    size: int

    @cached_property
    def _apart(self) -> list[dict[str, Any]]:
        columns = map_leaves(self.batch, lambda tensor: iter(tensor.unbind(0)))
        return [map_leaves(columns, next) for _ in range(self.size)]

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: Any) -> Any:
        return self._apart[index]


@dataclass(frozen=True)
class _TensorForm:
    """How arrays become tensors. The arguments are those of the datasets.

    Raises:
        OptionError: If one of them is wrong.
    """

    channels_first: bool
    dtype: torch.dtype | None
    window: Window | None
    has_steps: bool = False

    def __post_init__(self) -> None:
        if type(self.channels_first) is not bool:
            raise OptionError(f"channels_first: expected True or False, got {self.channels_first!r:.80}")
        if self.dtype is not None and not (isinstance(self.dtype, torch.dtype) and self.dtype.is_floating_point):
            raise OptionError(
                f"dtype: expected one of floating point numbers, as torch.float32, got {self.dtype!r:.80}"
            )

    def tensors(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """A batch of arrays as a batch of tensors."""
        return {name: self._column(name, values) for name, values in batch.items()}

    def _column(self, name: str, values: Any) -> Any:
        may_move = self.channels_first and name in _PICTURES
        has_window = may_move and self.window is not None and self.window.offsets(_PICTURES[name]) is not None
        picture_axes = 5 if has_window or self.has_steps else 4

        def tensor(array: np.ndarray) -> torch.Tensor:
            found = self._tensor(name, array)
            is_picture = found.dtype == torch.uint8 and found.ndim >= picture_axes and found.shape[-1] in _CHANNELS
            return found.movedim(-1, -3) if may_move and is_picture else found

        return map_leaves(values, tensor)

    def _tensor(self, name: str, array: np.ndarray) -> torch.Tensor:
        try:
            found = torch.from_numpy(array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("=")))
        except TypeError as error:
            raise UnsupportedSpaceError(
                f"{name}: torch {torch.__version__} has no tensors of {array.dtype}: name the other columns, or their "
                "leaves, in columns=[...]"
            ) from error
        return found if self.dtype is None or not found.is_floating_point() else found.to(self.dtype)


def _stacked(samples: Sequence[Any]) -> Any:
    """Trees of tensors as one tree of stacked tensors."""
    first = samples[0]
    if isinstance(first, dict):
        return {key: _stacked([each[key] for each in samples]) for key in first}
    if isinstance(first, tuple):
        return tuple(_stacked(each) for each in zip(*samples, strict=True))
    return torch.stack(list(samples))
