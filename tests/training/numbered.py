"""Recordings whose values say where they belong, and the batches that they should give, computed step by step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

import gym_h5record as h5r


def record_numbered(path: Path, lengths: Sequence[int], **options: Any) -> Path:
    """Record episodes of these lengths. Every second one is terminated, the others are truncated.

    An observation is its episode and its step; an action is the number of its row; rewards are different everywhere.
    """
    space = spaces.Dict({"at": spaces.Box(-np.inf, np.inf, (2,), np.float32), "number": spaces.Discrete(1 << 30)})
    with h5r.Writer(path, observation_space=space, action_space=spaces.Discrete(1 << 30), **options) as writer:
        row = 0
        for episode, length in enumerate(lengths):
            at = np.stack([np.full(length + 1, episode), np.arange(length + 1)], axis=1).astype(np.float32)
            last = np.arange(length) == length - 1
            none = np.zeros(length, np.bool_)
            writer.append_episode(
                observations={"at": at, "number": row + np.arange(length + 1)},
                actions=row + np.arange(length),
                rewards=np.sin(row + np.arange(length)),
                terminations=none if episode % 2 else last,
                truncations=last if episode % 2 else none,
            )
            row += length + 1
    return path


def places(batch: dict[str, Any]) -> list[tuple[int, int]]:
    """Where the samples of a batch are: episode and step."""
    return [*zip(batch["episodes"].tolist(), batch["steps"].tolist(), strict=True)]


def all_places(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Every step of episodes of these lengths."""
    return [(episode, step) for episode, length in enumerate(lengths) for step in range(length)]


def values_at(batch: Any, at: int) -> Any:
    """One sample of a batch."""
    if isinstance(batch, dict):
        return {key: values_at(each, at) for key, each in batch.items()}
    if isinstance(batch, tuple):
        return tuple(values_at(each, at) for each in batch)
    return batch[at]


def check_equal(found: Any, expected: Any) -> None:
    """Fail unless two values, trees of arrays and numbers, are the same."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, each in expected.items():
            check_equal(found[key], each)
    elif isinstance(expected, tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            check_equal(one, other)
    else:
        np.testing.assert_array_equal(found, expected, strict=isinstance(expected, np.ndarray))


def check_transitions(recording: h5r.Recording, batch: dict[str, Any]) -> None:
    """Fail unless every sample of a batch is what the episodes have there."""
    names = ("observations", "actions", "rewards", "terminations", "truncations")
    for at, (number, step) in enumerate(places(batch)):
        episode = recording.episodes[number]
        for name in names:
            check_equal(values_at(batch[name], at), getattr(episode, name)[step])
        check_equal(values_at(batch["next_observations"], at), episode.observations[step + 1])
        assert batch["dones"][at] == (episode.terminations[step] or episode.truncations[step])


def same_batches(one: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]]) -> None:
    """Fail unless two lists of batches are the same."""
    assert len(one) == len(other)
    for first, second in zip(one, other, strict=True):
        check_equal(first, second)
