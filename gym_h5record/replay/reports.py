"""What came out of a re-simulation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

__all__ = ["Divergence", "EpisodeReport", "Verdict", "VerifyReport"]


class Verdict(str, Enum):
    """What a re-simulation has shown of an episode."""

    EXACT = "exact"
    CLOSE = "within tolerance"
    UNPROVEN = "not proven"
    DIVERGED = "diverged"
    NOT_REPLAYABLE = "not replayable"


@dataclass(frozen=True)
class Divergence:
    """Where an episode first differs from its recording.

    Attributes:
        episode: Number of the episode.
        step: Index in the column that differs: ``episode.rewards[step]``, or
            ``episode.observations[step]``, which is 0 for what the reset gave.
        leaf: The column and the place in it, such as ``"observations/position[2]"``.
        recorded: What the file has there.
        found: What the environment gave.
        largest: Largest absolute difference in the leaf, None if it is not of numbers.
        message: All of it in words.
    """

    episode: int
    step: int
    leaf: str
    recorded: Any
    found: Any
    largest: float | None
    message: str

    def __str__(self) -> str:
        return f"episode {self.episode}, step {self.step}, {self.message}"


@dataclass(frozen=True)
class EpisodeReport:
    """One episode.

    Attributes:
        episode: Its number.
        verdict: What came out.
        steps: How many steps were compared.
        independent: Whether it was run alone, from its own snapshot or seed; otherwise behind
            those that it continues without a reset, or, as ``reason`` says, behind all before it.
        reason: Why it was not exact on its own, or not replayable, or what kept it from another
            try; "" otherwise.
        divergence: Where it first differs, if it does.
    """

    episode: int
    verdict: Verdict
    steps: int = 0
    independent: bool = True
    reason: str = ""
    divergence: Divergence | None = None

    @property
    def ok(self) -> bool:
        """Whether it was proven to be what the environment does."""
        return self.verdict in (Verdict.EXACT, Verdict.CLOSE)


@dataclass(frozen=True)
class VerifyReport:
    """A recording.

    Attributes:
        path: The file.
        episodes: One report for each episode that was asked for.
        differences: What differs between the machine of the recording and this one, in sentences.
        atol: The tolerance, 0 for exactness.
    """

    path: Path
    episodes: tuple[EpisodeReport, ...]
    differences: tuple[str, ...] = ()
    atol: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every episode was proven to be what the environment does."""
        return all(each.ok for each in self.episodes)

    @property
    def num_steps(self) -> int:
        """Steps that were compared."""
        return sum(each.steps for each in self.episodes)

    @property
    def first_divergence(self) -> Divergence | None:
        """The divergence of the first episode that has one."""
        return next((each.divergence for each in self.episodes if each.divergence is not None), None)

    def count(self, verdict: Verdict) -> int:
        """How many episodes have a verdict."""
        return sum(each.verdict is verdict for each in self.episodes)
