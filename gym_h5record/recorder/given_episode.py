"""A whole episode as arrays: checked before anything is written, and taken apart into rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gym_h5record.display import short_repr
from gym_h5record.errors import EpisodeDataError
from gym_h5record.values.exact import foreign_array
from gym_h5record.writing.step_batch import Steps

__all__ = ["GivenEpisode", "check_episode"]

_OF_STEPS = ("actions", "rewards", "terminations", "truncations", "extras")
_OF_ROWS = ("observations", "infos", "frames", "times")
_MAX_TIME_S = 2**63 / 1e9  # as nanoseconds in int64


@dataclass(frozen=True)
class GivenEpisode:
    """An episode of T steps: trees of arrays and lists with one entry per row or step.

    Attributes:
        num_steps: T.
        fields: The arguments of ``Writer.append_episode`` by name. Those of steps have T entries, those of rows T + 1.
    """

    num_steps: int
    fields: Mapping[str, Any]

    def observation(self, row: int) -> Any:
        """The observation of a row."""
        return _entry(self.fields["observations"], row)

    def info(self, row: int) -> Any:
        """The info of a row, None if there are none."""
        infos = self.fields["infos"]
        return None if infos is None else _entry(infos, row)

    def frame(self, row: int) -> Any:
        """The picture of a row, None if there are none."""
        frames = self.fields["frames"]
        return None if frames is None else _entry(frames, row)

    def step(self, number: int) -> tuple[Any, Any, Any, Any, Any, Any, Any, Any]:
        """The arguments of ``Writer.append``."""
        row = number + 1
        action, reward, terminated, truncated, extras = (_entry(self.fields[name], number) for name in _OF_STEPS)
        return action, self.observation(row), reward, terminated, truncated, self.info(row), self.frame(row), extras

    def times_ns(self, began_ns: int) -> np.ndarray:
        """When the rows came, ``(T + 1,)`` int64, in nanoseconds since the recording began at ``began_ns``."""
        times = self.fields["times"]
        if times is None:
            return np.full(self.num_steps + 1, time.monotonic_ns() - began_ns, np.int64)
        nanoseconds: np.ndarray = np.round(times * 1e9).astype(np.int64)
        return nanoseconds

    def steps_after_first(self, times_ns: np.ndarray) -> Steps:
        """All steps but the first, and the rows that they led to."""
        infos = self.fields["infos"]
        if isinstance(infos, list):  # empty dicts need no rows of their own, others have keys of their own
            infos = {"": infos} if any(infos) else {}
        steps = {name: _map(self.fields[name], lambda each: each[1:]) for name in _OF_STEPS}
        frames = self.fields["frames"]
        return Steps(
            **steps,
            observations=_map(self.fields["observations"], lambda each: each[2:]),
            infos={} if infos is None else _map(infos, lambda each: each[2:]),
            frames=None if frames is None else _map(frames, lambda each: each[2:]),
            times_ns=times_ns[2:],
        )


def check_episode(fields: Mapping[str, Any]) -> GivenEpisode:
    """Check that the fields of an episode, the arguments of ``Writer.append_episode``, fit together.

    Raises:
        EpisodeDataError: If they do not. The error names the field.
    """
    checked = {name: _as_columns(values) for name, values in fields.items()}
    num_steps = _length("rewards", checked["rewards"])
    for name in ("terminations", "truncations"):
        checked[name] = _as_flags(name, checked[name], num_steps)
    if checked["times"] is not None:
        checked["times"] = _as_times(checked["times"])
    if checked["infos"] is not None and type(checked["infos"]) not in (list, dict):
        raise EpisodeDataError(
            f"infos: expected a list of dicts, or a dict of arrays, got {short_repr(checked['infos'])}"
        )
    if type(checked["extras"]) is not dict:
        raise EpisodeDataError(f"extras: expected a dict of arrays, got {short_repr(checked['extras'])}")
    for names, expected, which in ((_OF_STEPS, num_steps, "T"), (_OF_ROWS, num_steps + 1, "T + 1")):
        for name in names:
            for leaf, values in _leaves(name, checked[name]):
                found = _length(leaf, values)
                if found != expected:
                    raise EpisodeDataError(
                        f"{leaf}: expected {expected} entries ({which}; rewards have T = {num_steps}), got {found}"
                    )
    for name in ("terminations", "truncations"):
        if checked[name][:-1].any():
            raise EpisodeDataError(
                f"{name}: entry {checked[name].argmax()} is true, but the episode has {num_steps} steps. "
                "Split the arrays there."
            )
    return GivenEpisode(num_steps, checked)


def _as_columns(values: Any) -> Any:
    """Arrays of other libraries as NumPy arrays, mappings as dicts; tuples and lists stay."""
    if values is None or type(values) is np.ndarray:
        return values
    if isinstance(values, Mapping):
        return {key: _as_columns(each) for key, each in values.items()}
    if type(values) is tuple:
        return tuple(map(_as_columns, values))
    array = foreign_array(values)
    return values if array is None else array


def _as_flags(name: str, values: Any, num_steps: int) -> np.ndarray:
    flags = np.zeros(num_steps, np.bool_) if values is None else np.asarray(values)
    if flags.ndim != 1:
        raise EpisodeDataError(f"{name}: expected one boolean per step, got an array of shape {flags.shape}")
    if flags.dtype != np.bool_ and not np.isin(flags, (0, 1)).all():
        raise EpisodeDataError(f"{name}: expected booleans, got {flags.dtype} with other values than 0 and 1")
    return flags.astype(np.bool_)


def _as_times(values: Any) -> np.ndarray:
    try:
        times = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise EpisodeDataError(f"times: expected seconds, got {short_repr(values)}") from error
    if times.ndim != 1 or not (np.abs(times) < _MAX_TIME_S).all():
        raise EpisodeDataError(f"times: expected seconds, one finite number per row, got {short_repr(values)}")
    back = np.flatnonzero(np.diff(times) < 0)
    if len(back):
        raise EpisodeDataError(f"times: entry {back[0] + 1} is less than the entry before it")
    return times


def _leaves(name: str, values: Any) -> Iterator[tuple[str, Any]]:
    """The arrays and lists of a tree, with their places."""
    if type(values) is dict or type(values) is tuple:
        for key, each in values.items() if isinstance(values, dict) else enumerate(values):
            yield from _leaves(f"{name}/{key}", each)
    elif values is not None:
        yield name, values


def _length(name: str, values: Any) -> int:
    try:
        return len(values)
    except TypeError as error:
        raise EpisodeDataError(f"{name}: expected an array or a list, got {type(values).__name__}") from error


def _entry(values: Any, index: int) -> Any:
    return _map(values, lambda each: each[index])


def _map(values: Any, function: Callable[[Any], Any]) -> Any:
    if type(values) is dict:
        return {key: _map(each, function) for key, each in values.items()}
    if type(values) is tuple:
        return tuple(_map(each, function) for each in values)
    return function(values)
