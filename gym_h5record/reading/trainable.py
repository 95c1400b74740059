"""``Trainable``: what a recording and a selection offer to a training loop. The work is done in ``training/``.

``training`` is a room above this one. A method here imports it when it is called, so that a program that only reads
loads none of it. The import contracts in ``pyproject.toml`` allow it to this module only.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.reading.recorded_file import RecordedFile
from gym_h5record.reading.step_leaves import LeafSource

if TYPE_CHECKING:
    from gym_h5record.training.sampler import Sampler
    from gym_h5record.training.statistics import Statistics
    from gym_h5record.training.transforms import Transform
    from gym_h5record.training.windows import Window

__all__ = ["Trainable"]


class Trainable(ABC):
    """Episodes to train on. A subclass says which."""

    @property
    @abstractmethod
    def numbers(self) -> np.ndarray:
        """The numbers of the episodes in the recording, ``(num_episodes,)`` int64."""

    @property
    @abstractmethod
    def metadata(self) -> dict[str, Any]:
        """The metadata of the recording."""

    @property
    @abstractmethod
    def _file(self) -> RecordedFile:
        """The open file."""

    @property
    @abstractmethod
    def _index(self) -> EpisodeIndex:
        """All episodes of the recording."""

    @property
    @abstractmethod
    def _leaf_source(self) -> LeafSource:
        """What the steps are read from."""

    def stats(
        self,
        *,
        per_episode: bool = True,
        cache: bool | str | os.PathLike[str] = False,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Statistics:
        """Count, mean, variance, minimum, maximum and quantiles of every numeric leaf, in one pass over the steps.

        The values are those that a training loop samples: one for each step. So the observation, the info and the frame
        behind the last step of an episode are not among them. Steps of unfinished episodes are; the statistics of
        returns and lengths leave these episodes out. Observations, actions, rewards, and the keys of infos and extras
        that have columns are read. Frames are not.

        Memory does not grow with the number of steps. The statistics take 48 bytes for each element of a value, and of
        a sample of the values at most 8 MiB for each leaf. Leaves are skipped once there are 8,388,608 elements. The
        statistics per episode take 48 bytes for each episode and element, 256 MiB at most: they are made of the leaves
        of up to 64 elements, as many as fit, in the order of the leaves.

        Args:
            per_episode: Whether to make statistics of the leaves in each episode too.
            cache: Whether to keep the statistics in a file, and to read them from it if it has those of these very
                steps. False makes no file. True is for ``run.h5.stats.json`` beside ``run.h5``, and of a selection for
                ``run.h5.1f2e3d4c.stats.json``, where the digits tell selections apart. A path is another file. If the
                file cannot be written, or is there and cannot be read as statistics, a ``RecordingWarning`` says so and
                nothing is kept.
            on_progress: Called after every 65,536 steps with the number of steps that have been read, and of all.

        Returns:
            A mapping by the name of the leaf, such as ``"observations"``, ``"observations/arm/pos"``, ``"actions"``,
            ``"rewards"``, ``"infos/lives"``, ``"extras/value"``. ``skipped`` says what is not in it, and why.

        Raises:
            CorruptRecordingError: If a column cannot be read.
            OptionError: If ``cache`` is neither a boolean nor a path.

        Example:
            >>> import gym_h5record as h5r
            >>> with h5r.Recording(cartpole_path) as recording:
            ...     stats = recording.stats()
            >>> stats["observations"].mean.shape, stats["actions"].histogram, stats.returns.mean.item()
            ((4,), {0: 21, 1: 23}, 14.666666666666666)
        """
        from gym_h5record.training.statistics_sidecar import statistics_of

        file = f"{self.metadata.get('run_id')} {self.metadata.get('created_at')}"
        episodes = (self._leaf_source, self._index, self.numbers, file)
        return statistics_of(
            *episodes, per_episode=per_episode, path=self._file.path, cache=cache, on_progress=on_progress
        )

    def sampler(
        self,
        batch_size: int = 256,
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        replace: bool | None = None,
        window: Window | None = None,
        n_step: int = 1,
        gamma: float = 0.99,
        pad: str = "repeat",
        columns: Sequence[str] | None = None,
        weights: Sequence[float] | np.ndarray | None = None,
        order: str = "uniform",
        cache: str | None = None,
        memory_bytes: int | None = None,
        drop_last: bool = False,
        whole_episodes: bool = False,
        transforms: Sequence[Transform] = (),
    ) -> Sampler:
        """Batches of transitions in random order, of windows of steps or of whole episodes, for a training loop.

        A batch is a dict with ``observations``, ``actions``, ``rewards``, ``next_observations``, ``terminations``,
        ``truncations``, ``dones``, ``episodes`` and ``steps``: arrays with a value per sample, and for Dict and Tuple
        spaces dicts and tuples of arrays. Values are those of the file, in their dtypes. ``next_observations`` of the
        last step of an episode is its final observation. Steps of a running episode are not sampled.

        The arrays are yours to change. But a stack of frames that was recorded once per frame has all frames but one in
        common with the next one: ``observations`` and ``next_observations`` are then views of the same array, unless
        there are ``transforms``. Copy one of them before you change it in place.

        Args:
            batch_size: Samples of a batch.
            seed: With the epoch, determines the order: the same with every version of NumPy.
            rank: Which share of the samples this sampler gives, from 0 on.
            world_size: How many shares there are. No sample is in two of them.
            replace: Whether to draw with replacement. Otherwise every sample is once in an epoch. None for True if
                there are ``weights``.
            window: More steps than one, by column: ``Window(observations=(-3, 1))``. A batch then has ``"mask"``, a
                dict of arrays ``(batch_size, steps)`` of booleans: False where the episode has no such step.
            n_step: Steps of which ``rewards`` is the discounted sum; fewer at the end of an episode. The flags are
                those of the last of these steps, and ``next_observations`` the one that it led to. If it is more than
                1, a batch has ``"discounts"``: the factor of the value of ``next_observations``, 0 where the episode
                was terminated.
            gamma: Discount of a step.
            pad: Steps of a window that the episode does not have: ``"repeat"`` its first or last one, ``"zero"``, or
                ``"drop"`` the samples that have such steps.
            columns: The columns of a batch, such as ``["observations", "actions"]``; ``"observations/arm/pos"`` is a
                leaf, ``"frames"``, ``"infos/lives"`` and ``"extras/value"`` are further columns. None for those above.
            weights: How often each is drawn: one number for each episode, which is that of all its steps, or one for
                each step. With one for each step, a batch has ``"indices"`` and ``"probabilities"``, and
                ``sampler.update_priorities(indices, priorities)`` changes the weights.
            order: ``"uniform"``, or ``"chunk"``: blocks of steps that follow each other in the file come in random
                order, and the steps of many blocks are shuffled. Each chunk is then decoded about once in an epoch.
            cache: What is kept in memory. ``"low_dim"`` is for items of less than 1 KiB, and ``"all"`` for everything:
                they are decoded when the sampler is made. ``"compressed"`` is for compressed chunks as they are in the
                file: each is kept when it is first read, as many as ``memory_bytes`` allows. None is for none of these.
                With None and ``"compressed"``, items of up to 256 bytes such as rewards and vectors are kept once they
                are decoded, the smallest first, as many as an eighth of ``memory_bytes`` holds.
            memory_bytes: The most that the sampler may take; None for half of the memory of the machine. What is
                decoded ahead for the next batches takes 256 MiB of it at most, in each worker of a data loader.
            drop_last: Whether to leave out the samples at the end of an epoch that are no whole batch. Then all ranks
                have the same number of batches.
            whole_episodes: Whether a sample is an episode. Then ``observations`` have the steps and the final one, and
                ``next_observations`` are left out unless they are named. All episodes of a batch are padded to the
                longest one, as ``pad`` says. ``"lengths"`` has the steps of each, ``(batch_size,)``, and ``"mask"`` is
                that of a window. So ``batch["rewards"][i, :batch["lengths"][i]]`` is without padding.
            transforms: Random changes of the values, in this order: ``Noise``, ``RandomCrop``, ``RandomShift`` and
                ``TimeReversal`` of ``gym_h5record.training``, or subclasses of ``Transform``. They depend on the seed,
                the epoch and the sample: not on the batch size, nor without replacement on the ranks.

        Raises:
            OptionError: If an option is wrong or does not fit the recording.
            UnsupportedSpaceError: If the values of a column vary in size, or one does not fit its column.

        Example:
            >>> import gym_h5record as h5r
            >>> with h5r.Recording(cartpole_path) as recording:
            ...     batch = next(iter(recording.sampler(batch_size=16, seed=0)))
            >>> batch["observations"].shape, batch["next_observations"].shape, batch["actions"].shape
            ((16, 4), (16, 4), (16,))
        """
        from gym_h5record.training.sampler import Sampler
        from gym_h5record.training.sampler_options import SamplerOptions
        from gym_h5record.training.step_source import StepSource

        options = SamplerOptions(
            batch_size=batch_size,
            seed=seed,
            rank=rank,
            world_size=world_size,
            replace=replace,
            window=window,
            n_step=n_step,
            gamma=gamma,
            pad=pad,
            columns=columns,
            weights=weights,
            order=order,
            cache=cache,
            memory_bytes=memory_bytes,
            drop_last=drop_last,
            whole_episodes=whole_episodes,
            transforms=transforms,
        )
        return Sampler(StepSource(self._file, self._index, self.numbers), options)
