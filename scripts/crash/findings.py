"""What an inspection has found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Finding"]


@dataclass
class Finding:
    """The result of an inspection.

    Attributes:
        opens: Whether the file can be read after ``repair``.
        is_empty: Whether there is no file, because nothing had been recorded yet.
        found: Steps in the file, by life.
        promised: Steps that have to be in the file, by life.
        contradicting: Numbers of the episodes that differ from the played ones.
        problems: Sentences about everything that is wrong.
        strays: Names of the files left beside the recording.
    """

    opens: bool = False
    is_empty: bool = False
    found: list[int] = field(default_factory=list)
    promised: list[int] = field(default_factory=list)
    contradicting: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)

    def contradict(self, episode: int, problem: str) -> None:
        """Note that an episode differs from the played one; only its first problem is kept."""
        if episode not in self.contradicting:
            self.contradicting.append(episode)
            self.problems.append(f"episode {episode}: {problem}")

    def as_dict(self) -> dict[str, Any]:
        """The attributes, for JSON."""
        return asdict(self)
