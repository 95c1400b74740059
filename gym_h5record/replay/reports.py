"""The results of ``verify``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

__all__ = ["Divergence", "EpisodeReport", "Verdict", "VerifyReport", "unproven_reason"]

_MAX_PLACES = 3


class Verdict(str, Enum):
    """The result of running an episode again."""

    EXACT = "exact"
    CLOSE = "within tolerance"
    UNPROVEN = "not proven"
    DIVERGED = "diverged"
    NOT_REPLAYABLE = "not replayable"


@dataclass(frozen=True)
class Divergence:
    """The first place where an episode differs from its recording.

    Attributes:
        episode: Number of the episode.
        step: Index in the column that differs: ``episode.rewards[step]``, or ``episode.observations[step]``, where
            0 is the observation of the reset.
        leaf: The column and the place in it, such as ``"observations/position[2]"``.
        recorded: The value in the file.
        found: The value that the environment gave.
        largest: Largest absolute difference in the leaf, None if it holds no numbers.
        message: Leaf and values in words.
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
    """The result for one episode.

    Attributes:
        episode: Number of the episode.
        verdict: The result.
        num_steps: How many steps were compared.
        independent: Whether the episode was run alone, from its own snapshot or seed. False if earlier episodes were
            run before it: those that it continues without a reset, or, as ``reason`` then says, all of them. Also False
            if all lanes of a vector environment were run together.
        reason: Why the episode was not exact when run alone, why it cannot be run, or why it was not tried in another
            way; "" otherwise.
        divergence: The first difference, None if there is none.
    """

    episode: int
    verdict: Verdict
    num_steps: int = 0
    independent: bool = True
    reason: str = ""
    divergence: Divergence | None = None

    @property
    def ok(self) -> bool:
        """Whether the environment did what was recorded, exactly or within the tolerance."""
        return self.verdict in (Verdict.EXACT, Verdict.CLOSE)


@dataclass(frozen=True)
class VerifyReport:
    """The result for a recording.

    Attributes:
        path: The file.
        episodes: One report for each chosen episode.
        differences: Sentences on versions, platform and ROM that are not those of the recording.
        atol: The tolerance, 0 for exact comparison.
        not_compared: Sentences on recorded values that were not compared.
    """

    path: Path
    episodes: tuple[EpisodeReport, ...]
    differences: tuple[str, ...] = ()
    atol: float = 0.0
    not_compared: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every chosen episode is ``ok``."""
        return all(each.ok for each in self.episodes)

    @property
    def num_episodes(self) -> int:
        """How many episodes were chosen."""
        return len(self.episodes)

    @property
    def num_steps(self) -> int:
        """How many steps were compared, in all chosen episodes together."""
        return sum(each.num_steps for each in self.episodes)

    @property
    def first_divergence(self) -> Divergence | None:
        """The divergence of the first episode that has one."""
        return next((each.divergence for each in self.episodes if each.divergence is not None), None)

    def count(self, verdict: Verdict) -> int:
        """How many episodes have a verdict."""
        return sum(each.verdict is verdict for each in self.episodes)


def unproven_reason(places: Sequence[str]) -> str:
    """Why an episode is ``UNPROVEN``: the places of its values that the file has only as text."""
    shown = ", ".join(places[:_MAX_PLACES]) + (", ..." if len(places) > _MAX_PLACES else "")
    return f"the file has only text of {shown}, which is equal; with ignore= the rest of infos can be proven"
