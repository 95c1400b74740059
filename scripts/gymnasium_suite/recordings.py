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
        episodes: The episodes in them.
        steps: The steps in them.
        problems: What is wrong, with the test that made the file.
    """

    files: int = 0
    episodes: int = 0
    steps: int = 0
    problems: list[str] = field(default_factory=list)


def check(folder: Path) -> Findings:
    """Open and validate every recording of a folder, and look for what a recording that was not completed leaves."""
    findings = Findings()
    for path in sorted(folder.iterdir()):
        if path.suffix == ".test":
            continue
        made_by = path.with_name(path.name.partition(".")[0] + ".test").read_text()
        problems = list(_problems(path, findings))
        findings.problems += [f"{path.name} of {made_by}: {each}" for each in problems]
    return findings


def _problems(path: Path, findings: Findings) -> Iterator[str]:
    if path.suffix != ".h5":
        yield "its recording was not completed"
        return
    findings.files += 1
    try:
        with h5r.Recording(path) as recording:
            findings.episodes += recording.num_episodes
            findings.steps += recording.num_steps
        yield from map(str, h5r.validate(path, deep=False))
    except RecordingError as error:
        yield f"{type(error).__name__}: {error}"
