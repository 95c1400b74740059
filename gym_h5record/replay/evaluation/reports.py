"""What came out of an evaluation: plain numbers, nothing of NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
    """How one action of a Discrete space was met.

    Attributes:
        action: The action.
        recorded: How often it was recorded.
        chosen: How often the policy chose it.
        equal: How often both.
    """

    action: int
    recorded: int
    chosen: int
    equal: int

    @property
    def recall(self) -> float | None:
        """How many of the recorded ones the policy chose too, None if there are none."""
        return self.equal / self.recorded if self.recorded else None

    @property
    def precision(self) -> float | None:
        """How many of the chosen ones were recorded too, None if there are none."""
        return self.equal / self.chosen if self.chosen else None


@dataclass(frozen=True)
class Confusion:
    """Which actions of a Discrete space were chosen for which.

    Attributes:
        actions: Those that were recorded or chosen, in order; they need not be of the space.
        counts: A row for each of them as recorded, a column for each as chosen.
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
    """How far actions of a Box are from the recorded ones.

    Attributes:
        mean_absolute: Mean of the absolute differences.
        root_mean_square: Root of the mean of their squares.
        maximum: The largest one.
        dimensions: The same for each element, in C order; empty in the element itself.
    """

    mean_absolute: float
    root_mean_square: float
    maximum: float
    dimensions: tuple[ActionError, ...] = ()


@dataclass(frozen=True)
class Agreement:
    """How a policy's actions agree with the recorded ones.

    Attributes:
        steps: How many actions were compared.
        equal: How many were the recorded ones: equal numbers, or else identical in type and every bit.
        misfits: How many, recorded or chosen, were of another form than the space's: no integers, or
            arrays of another shape. They are not in what follows.
        confusion: Of a Discrete space, otherwise None.
        error: Of a Box, otherwise None; also if there was nothing to compare.
    """

    steps: int
    equal: int
    misfits: int = 0
    confusion: Confusion | None = None
    error: ActionError | None = None

    @property
    def rate(self) -> float | None:
        """Share of the actions that were the recorded ones, None without any."""
        return self.equal / self.steps if self.steps else None


@dataclass(frozen=True)
class LiveEpisode:
    """What the policy made of an episode that it began where a recorded one began.

    Attributes:
        total_reward: Sum of the rewards, added in order.
        length: How many steps.
        terminated: Whether the last step ended it.
        truncated: Whether the environment cut it off with the last step.
    """

    total_reward: float
    length: int
    terminated: bool
    truncated: bool

    @property
    def complete(self) -> bool:
        """Whether the environment ended it; False if ``max_steps`` did."""
        return self.terminated or self.truncated


@dataclass(frozen=True)
class EpisodeEvaluation:
    """One recorded episode.

    Attributes:
        episode: Its number.
        length: How many steps were recorded.
        total_reward: Sum of the recorded rewards.
        complete: Whether the environment ended it; False if recording stopped before.
        agreement: Of the actions; None in a closed loop.
        live: What the policy did; None in an open loop, or if it could not begin.
        reason: Why it could not begin where the episode did, "" if it could.
    """

    episode: int
    length: int
    total_reward: float
    complete: bool
    agreement: Agreement | None = None
    live: LiveEpisode | None = None
    reason: str = ""

    @property
    def is_paired(self) -> bool:
        """Whether both returns are of whole episodes, and can be compared."""
        return self.complete and self.live is not None and self.live.complete

    @property
    def difference(self) -> float | None:
        """The live return minus the recorded one, None unless both are of whole episodes."""
        return self.live.total_reward - self.total_reward if self.live is not None and self.is_paired else None


@dataclass(frozen=True)
class EvaluationReport:
    """A policy against a recording.

    Attributes:
        path: The file.
        closed_loop: Whether the policy acted itself.
        episodes: One report for each episode that was asked for.
        agreement: Of all episodes together; None in a closed loop.
        recorded_return: Mean of the recorded returns, of paired episodes only like the two after it;
            None in an open loop, or without such an episode.
        live_return: Mean of the returns of the policy.
        difference: Mean of what the policy has more than was recorded, episode by episode.
    """

    path: Path
    closed_loop: bool
    episodes: tuple[EpisodeEvaluation, ...]
    agreement: Agreement | None = None
    recorded_return: Interval | None = None
    live_return: Interval | None = None
    difference: Interval | None = None

    @property
    def incomplete(self) -> tuple[int, ...]:
        """Numbers of the episodes whose recording stopped before the environment ended them."""
        return tuple(each.episode for each in self.episodes if not each.complete)

    @property
    def unpaired(self) -> tuple[int, ...]:
        """Numbers of the episodes that the means of a closed loop leave out; all of them in an open loop."""
        return tuple(each.episode for each in self.episodes if not each.is_paired)
