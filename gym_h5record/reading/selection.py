"""Some episodes of a recording, with the interface of a recording: what ``select``, ``split`` and an index give."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np

from gym_h5record.display import counted
from gym_h5record.errors import OptionError, SelectionError
from gym_h5record.format.masks import is_mask_name
from gym_h5record.reading.dealing import deal
from gym_h5record.reading.episode_facts import episode_fact
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.reading.episodes import Episode, EpisodeList, episode_position
from gym_h5record.reading.expression import NAMES, parse_condition
from gym_h5record.reading.file_facts import FileFacts
from gym_h5record.reading.hints import RECORDING_HINTS, Hinting
from gym_h5record.reading.html import episodes_html
from gym_h5record.reading.recorded_file import RecordedFile
from gym_h5record.reading.step_leaves import LeafSource
from gym_h5record.reading.step_spans import StepSpans
from gym_h5record.reading.steps import Steps
from gym_h5record.reading.tables import Tabular
from gym_h5record.reading.trainable import Trainable

__all__ = ["EpisodeChoice", "EpisodeSet", "Selection"]

EpisodeChoice = str | Callable[[Episode], Any] | Sequence[int] | Sequence[bool] | Sequence[Episode] | np.ndarray
"""What ``select`` takes: a mask or a condition by text, a function, numbers or episodes, or an array of booleans."""


class EpisodeSet(Hinting, FileFacts, Tabular, Trainable, Sequence[Episode]):
    """Episodes as a sequence: what a recording and a selection of its episodes show alike.

    An integer gives an episode. A slice, a list or range of integers, or a boolean mask gives a ``Selection``: the same
    interface over some of the episodes.
    """

    _hints = RECORDING_HINTS

    # What a subclass says -------------------------------------------------------------------------

    @property
    @abstractmethod
    def numbers(self) -> np.ndarray:
        """The numbers of the episodes in the recording, ``(num_episodes,)`` int64."""

    @property
    @abstractmethod
    def _index(self) -> EpisodeIndex:
        """All episodes of the recording."""

    # A sequence of episodes -----------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Episode: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | np.ndarray) -> Selection: ...
    def __getitem__(self, index: int | np.integer[Any] | slice | Sequence[int] | np.ndarray) -> Episode | Selection:
        """One episode by its position, or some of the episodes."""
        position = episode_position(index, len(self))
        return (
            self.episodes[position]
            if isinstance(position, int)
            else Selection(self._file, self._index, self.numbers[position])
        )

    def __iter__(self) -> Iterator[Episode]:
        return iter(self.episodes)

    @property
    def num_episodes(self) -> int:
        """Episodes, incomplete ones included."""
        return len(self)

    @property
    def num_steps(self) -> int:
        """Steps of these episodes."""
        return int(self.lengths.sum())

    @property
    def episodes(self) -> EpisodeList:
        """The episodes, in their order."""
        return EpisodeList(self._file.decoder, self._index, self.numbers)

    @property
    def steps(self) -> Steps:
        """The steps of these episodes as aligned columns, without the rows from which no step was taken."""
        return Steps(self._file.decoder, self._index, self._spans)

    @property
    def returns(self) -> np.ndarray:
        """Total reward of each episode, ``(episodes,)`` float64; ``(episodes, *shape)`` if rewards are arrays."""
        self.schema  # noqa: B018  # says which shape the returns have; the column is checked against it
        returns: np.ndarray = self._index.column("returns")[self.numbers]
        return returns

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each episode, ``(num_episodes,)`` int64."""
        lengths: np.ndarray = self._index.column("lengths")[self.numbers]
        return lengths

    @property
    def masks(self) -> dict[str, np.ndarray]:
        """The named subsets in the file: for each name the numbers of those of these episodes that belong to it.

        ``gym_h5record.add_mask`` adds one. An open recording has those that it had when it was opened.
        """
        numbers = self.numbers
        return {name: numbers[np.isin(numbers, each)] for name, each in self._file.masks(self._index).items()}

    # Choosing -------------------------------------------------------------------------------------

    def select(self, episodes: EpisodeChoice) -> Selection:
        """Some of the episodes. No row is read or copied.

        Args:
            episodes: One of:

                - the name of a mask in the file, such as ``"train"``;
                - a condition, such as ``"total_reward > 100 and complete"``: comparisons, ``and``, ``or``, ``not`` and
                  arithmetic with the names ``total_reward``, ``length``, ``seed``, ``terminated``, ``truncated``,
                  ``complete``, ``number``, ``env`` and ``episode_id``. For an episode without a seed, every comparison
                  of ``seed`` is false but ``!=``;
                - a function, called with each episode;
                - numbers of episodes, as in ``episode.number``, or episodes. Negative numbers count from the end of the
                  recording;
                - an array of booleans, one for each of these episodes.

        Raises:
            SelectionError: If there is no such mask and the condition is wrong, one of the numbers is not among these
                episodes, or ``episodes`` is a selection from another file.
            TypeError: If ``episodes`` is nothing of this.

        Example:
            >>> import gym_h5record as h5r
            >>> with h5r.Recording(cartpole_path) as recording:
            ...     recording.select("total_reward > 15 and terminated").num_episodes
            1
        """
        return Selection(self._file, self._index, self._chosen(episodes))

    def lane(self, number: int) -> Selection:
        """The episodes of one lane of a vector recording, with the interface of a recording.

        A recording of a single environment has lane 0 only.

        Raises:
            SelectionError: If there is no such lane.
        """
        if not (isinstance(number, (int, np.integer)) and 0 <= number < self.num_envs):
            raise SelectionError(f"there is no lane {number!r:.80} in {self.path}, which has {self.num_envs}")
        numbers = self.numbers
        return Selection(self._file, self._index, numbers[self._index.lanes[numbers] == number])

    def split(self, fractions: Mapping[str, float], *, seed: int = 0) -> dict[str, Selection]:
        """Deal the episodes out at random: no episode is in two parts.

        The same episodes, fractions and seed give the same parts, with every version of NumPy.

        Args:
            fractions: The fraction of the episodes for each name. If they sum to less than 1, some episodes are in no
                part.
            seed: Seed of the order in which the episodes are dealt out.

        Raises:
            OptionError: If a fraction is not between 0 and 1, they sum to more than 1, or the seed is negative.

        Example:
            >>> import gym_h5record as h5r
            >>> with h5r.Recording(cartpole_path) as recording:
            ...     parts = recording.split({"train": 0.67, "valid": 0.33}, seed=0)
            ...     {name: part.num_episodes for name, part in parts.items()}
            {'train': 2, 'valid': 1}
        """
        parts = deal(np.unique(self.numbers), fractions, seed)  # an episode that is in twice goes into one part, twice
        return {
            name: Selection(self._file, self._index, self.numbers[np.isin(self.numbers, part)])
            for name, part in parts.items()
        }

    def iter_batches(self, n: int) -> Iterator[dict[str, Any]]:
        """The steps in their order, ``n`` at a time; the last batch may be smaller. Memory does not grow with the file.

        Returns:
            Dicts with ``observations``, ``actions``, ``rewards``, ``next_observations``, ``terminations``,
            ``truncations``, ``dones``, ``episodes`` and ``steps``: arrays with a value per step, and for Dict and Tuple
            spaces dicts and tuples of arrays. ``episodes`` are the numbers of the episodes, and ``steps`` count from 0
            in each of them.

        Raises:
            OptionError: If ``n`` is not a positive integer.
        """
        if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
            raise OptionError(f"a batch has a positive number of steps, not {n!r:.80}")
        steps, size = self.steps, int(n)
        return (steps.batch(start, min(start + size, len(steps))) for start in range(0, len(steps), size))

    def _repr_html_(self) -> str:
        return episodes_html(lambda: repr(self), self._file, self._index, self.numbers)

    @property
    def _spans(self) -> StepSpans:
        """Which rows the steps have."""
        starts, lengths = self._index.spans
        numbers = self.numbers
        return StepSpans(numbers, starts[numbers], lengths[numbers])

    @property
    def _leaf_source(self) -> LeafSource:
        return LeafSource(self._file.decoder, self._index.storage, self._spans)

    def _chosen(self, episodes: EpisodeChoice) -> np.ndarray:
        """The numbers of the episodes that ``select`` selects."""
        if isinstance(episodes, str):
            return self._named(episodes) if _may_be_mask(episodes) else self.numbers[self._fulfilling(episodes)]
        if callable(episodes):
            return self.numbers[np.array([bool(episodes(each)) for each in self], np.bool_)]
        if isinstance(episodes, EpisodeSet):
            if episodes.path != self.path:
                raise SelectionError(f"these are episodes of {episodes.path}, not of {self.path}")
            return self._numbered(episodes.numbers)
        chosen = _number_array(episodes)
        if chosen.dtype.kind != "b":
            return self._numbered(chosen)
        found: np.ndarray = self.numbers[episode_position(chosen, len(self))]
        return found

    def _named(self, name: str) -> np.ndarray:
        masks = self.masks
        if name in masks:
            return masks[name]
        try:
            found: np.ndarray = self.numbers[self._fulfilling(name)]
        except SelectionError as error:
            others = f"masks: {', '.join(masks)}" if masks else "it has none"
            raise SelectionError(f"{self.path} has no mask {name!r} ({others}), and as a condition: {error}") from None
        return found

    def _fulfilling(self, text: str) -> np.ndarray:
        condition, index, numbers = parse_condition(text), self._index, self.numbers
        return condition.evaluate(lambda name: episode_fact(index, name, numbers), len(numbers))

    def _numbered(self, numbers: np.ndarray) -> np.ndarray:
        found = numbers.astype(np.int64)  # first: int8 has no room for 300 episodes
        found[numbers < 0] += self._index.num_episodes
        missing = ~np.isin(found, self.numbers)
        if missing.any():
            what = (
                f"{self.path} has {self._index.num_episodes} episodes"
                if len(self) == self._index.num_episodes
                else self
            )
            raise SelectionError(f"there is no episode {numbers[missing][0]} to select: {what}")
        return found


def _number_array(episodes: Any) -> np.ndarray:
    """Numbers, booleans or episodes as an array of integers or booleans, ``(n,)``."""
    given = episodes
    if isinstance(episodes, Sequence):
        given = [each.number if isinstance(each, Episode) else each for each in episodes]
    try:
        chosen = np.asarray(given)
    except ValueError:  # lists of different lengths
        chosen = np.empty((), object)
    if chosen.ndim and not chosen.size:
        return np.empty(0, np.int64)
    if chosen.ndim != 1 or chosen.dtype.kind not in "biu":
        raise TypeError(
            "episodes are selected by the name of a mask, a condition, a function, numbers or booleans, "
            f"not by {episodes!r:.80}"
        )
    return chosen


def _may_be_mask(text: str) -> bool:
    return is_mask_name(text) and text not in NAMES


class Selection(EpisodeSet):
    """Some episodes of a recording, with the interface of a recording. Nothing is copied.

    ``selection[0]`` is its first episode, whose ``number`` is its place in the recording. ``select`` with numbers means
    these numbers. Closing a selection closes the recording.

    Args:
        file: The file of the recording.
        index: All episodes of the recording.
        numbers: Which of them are in the selection, ``(n,)`` int64.
    """

    def __init__(self, file: RecordedFile, index: EpisodeIndex, numbers: np.ndarray) -> None:
        self._recorded = file
        self._all = index
        self._numbers = numbers

    @property
    def numbers(self) -> np.ndarray:
        """The numbers of the episodes in the recording, ``(num_episodes,)`` int64."""
        return self._numbers.copy()

    def __repr__(self) -> str:
        size = f"{counted(self.num_episodes, 'episode')}, {counted(self.num_steps, 'step')}"
        return f"<Selection from {str(self.path)!r}: {size}>"

    @property
    def _file(self) -> RecordedFile:
        return self._recorded

    @property
    def _index(self) -> EpisodeIndex:
        return self._all
