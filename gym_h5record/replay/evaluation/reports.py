"""The results of ``evaluate``: plain Python numbers, no NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gym_h5record.replay.evaluation.bootstrap import Interval

__all__ = [
    "ActionError",
    "ActionScore",
    "Agreement",
    "Confusion",
    "EpisodeEvaluation",
    "EvaluationReport",
    "LiveEpisode",
]


@dataclass(frozen=True)
class ActionScore:
    """Recall and precision of one action of a Discrete space.

    Attributes:
        recorded: How often it was recorded.
        chosen: How often the policy chose it.
        equal: How often it was recorded and chosen in the same step.
    """

    action: int
    recorded: int
    chosen: int
    equal: int

    @property
    def recall(self) -> float | None:
        """``equal / recorded``, None if the action was never recorded."""
        return self.equal / self.recorded if self.recorded else None

    @property
    def precision(self) -> float | None:
        """``equal / chosen``, None if the action was never chosen."""
        return self.equal / self.chosen if self.chosen else None


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix of a Discrete space.

    Attributes:
        actions: The actions that were recorded or chosen, in order. They need not belong to the space.
        counts: One row for each action as recorded, one column for each action as chosen.
    """

    actions: tuple[int, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def scores(self) -> tuple[ActionScore, ...]:
        """Recall and precision of every action."""
        chosen = [sum(column) for column in zip(*self.counts, strict=True)]
        return tuple(
            ActionScore(action, sum(row), chosen[at], row[at])
            for at, (action, row) in enumerate(zip(self.actions, self.counts, strict=True))
        )


@dataclass(frozen=True)
class ActionError:
    """How far the actions of a Box are from the recorded ones.

    Attributes:
        mean_absolute: Mean of the absolute differences.
        root_mean_square: Root of the mean squared difference.
        maximum: Largest absolute difference.
        dimensions: The same for each element of the action, in C order; empty for an element itself.
    """

    mean_absolute: float
    root_mean_square: float
    maximum: float
    dimensions: tuple[ActionError, ...] = ()


@dataclass(frozen=True)
class Agreement:
    """How a policy's actions agree with the recorded ones.

    Attributes:
        num_steps: How many actions were compared.
        equal: How many actions agree: equal numbers, or other values that are identical in type and every bit.
        misfits: How many pairs have an action that does not fit the space: no integer, or an array of another
            shape. ``confusion`` and ``error`` leave them out.
        confusion: For a Discrete space, otherwise None.
        error: For a Box, otherwise None; also None if nothing could be compared.
    """

    num_steps: int
    equal: int
    misfits: int = 0
    confusion: Confusion | None = None
    error: ActionError | None = None

    @property
    def rate(self) -> float | None:
        """``equal / num_steps``, None if nothing was compared."""
        return self.equal / self.num_steps if self.num_steps else None


@dataclass(frozen=True)
class LiveEpisode:
    """An episode that the policy played from where a recorded one began.

    Attributes:
        total_reward: Sum of the rewards, added in order.
        terminated: Whether the last step ended the episode.
        truncated: Whether the environment cut the episode off at the last step.
    """

    total_reward: float
    num_steps: int
    terminated: bool
    truncated: bool

    @property
    def complete(self) -> bool:
        """Whether the environment ended the episode; False if ``max_steps`` did."""
        return self.terminated or self.truncated


@dataclass(frozen=True)
class EpisodeEvaluation:
    """The result for one recorded episode.

    Attributes:
        num_steps: How many steps were recorded.
        total_reward: Sum of the recorded rewards: a float, or nested lists of floats if rewards are arrays.
        complete: Whether the environment ended the recorded episode; False if recording stopped before.
        agreement: Of the actions; None in a closed loop.
        live: The episode of the policy; None in an open loop, or if it could not begin.
        reason: Why it could not begin where the recorded episode did, "" if it could.
    """

    episode: int
    num_steps: int
    total_reward: Any
    complete: bool
    agreement: Agreement | None = None
    live: LiveEpisode | None = None
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether the policy was evaluated on this episode; if not, ``reason`` says why."""
        return not self.reason

    @property
    def is_paired(self) -> bool:
        """Whether the recorded and the live episode are both complete, so that their returns can be compared."""
        return self.complete and self.live is not None and self.live.complete

    @property
    def difference(self) -> float | None:
        """The live return minus the recorded one, None unless the episode ``is_paired``."""
        return self.live.total_reward - self.total_reward if self.live is not None and self.is_paired else None


@dataclass(frozen=True)
class EvaluationReport:
    """The result for a recording.

    Attributes:
        path: The file.
        closed_loop: Whether the policy acted in the environment.
        episodes: One report for each chosen episode.
        agreement: Of all episodes together; None in a closed loop.
        recorded_return: Mean of the recorded returns. Like the next two it is of paired episodes only, and None in an
            open loop or if no episode is paired.
        live_return: Mean of the returns of the policy.
        difference: Mean of the live return minus the recorded one.
    """

    path: Path
    closed_loop: bool
    episodes: tuple[EpisodeEvaluation, ...]
    agreement: Agreement | None = None
    recorded_return: Interval | None = None
    live_return: Interval | None = None
    difference: Interval | None = None

    @property
    def ok(self) -> bool:
        """Whether the policy was evaluated on every chosen episode. It says nothing about how good the policy is."""
        return all(each.ok for each in self.episodes)

    @property
    def num_episodes(self) -> int:
        """How many episodes were chosen."""
        return len(self.episodes)

    @property
    def num_steps(self) -> int:
        """How many recorded steps the chosen episodes have."""
        return sum(each.num_steps for each in self.episodes)

    @property
    def incomplete(self) -> tuple[int, ...]:
        """Numbers of the episodes whose recording stopped before the environment ended them."""
        return tuple(each.episode for each in self.episodes if not each.complete)

    @property
    def unpaired(self) -> tuple[int, ...]:
        """Numbers of the episodes that the means of a closed loop leave out; all of them in an open loop."""
        return tuple(each.episode for each in self.episodes if not each.is_paired)
