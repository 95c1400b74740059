"""Checks the files that the tests recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import gym_h5record as h5r
from gym_h5record.errors import RecordingError


@dataclass
class Findings:
    """What is in a folder of recordings.

    Attributes:
        files: How many files there are. An environment that was never reset has none.
        interrupted: How many of them had to be repaired: vector environments terminate their processes in some tests.
        episodes: The episodes in them.
        steps: The steps in them.
        problems: What is wrong, with the test that made the file.
    """

    files: int = 0
    interrupted: int = 0
    episodes: int = 0
    steps: int = 0
    problems: list[str] = field(default_factory=list)


def check(folder: Path) -> Findings:
    """Repair what was interrupted, and open and validate every recording of a folder."""
    findings = Findings()
    for made_by in sorted(folder.glob("*.test")):
        problems = list(_problems(made_by.with_suffix(".h5"), findings))
        findings.problems += [f"{made_by.stem} of {made_by.read_text()}: {each}" for each in problems]
    return findings


def _problems(path: Path, findings: Findings) -> Iterator[str]:
    left = [each.name for each in path.parent.glob(f"{path.stem}.*") if each.suffix not in (".h5", ".test")]
    if not left and not path.exists():
        return
    try:
        if left:
            h5r.repair(path)
            if not path.exists():  # its process was terminated before the first step
                return
            findings.interrupted += 1
        findings.files += 1
        with h5r.Recording(path) as recording:
            findings.episodes += recording.num_episodes
            findings.steps += recording.num_steps
        yield from map(str, h5r.validate(path, deep=False))
    except RecordingError as error:
        yield f"{type(error).__name__}: {error}"
