"""Runs tests of a checkout of Gymnasium in a pytest of its own, and reads the outcomes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]

WAYS = ("top", "base", "vector-top", "vector-base")
"""What is recorded, environments or vector environments, and where the recorder is: above all wrappers or below."""


@dataclass(frozen=True)
class Checkout:
    """A checkout of Gymnasium.

    Attributes:
        path: Its folder.
        timeout_s: How long one run of pytest may take.
    """

    path: Path
    timeout_s: float


@dataclass
class Outcomes:
    """What became of the tests of one run.

    Attributes:
        of: ``"passed"``, ``"failed"``, ``"skipped"`` or ``"left out"``, by the id of a test.
        texts: Why a test failed.
        ended: How pytest ended before it had run every test, None if it has run every test.
    """

    of: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    ended: str | None = None

    @property
    def failed(self) -> set[str]:
        """The tests that failed."""
        return {test for test, outcome in self.of.items() if outcome == "failed"}

    def count(self) -> Counter[str]:
        """How many tests have each outcome."""
        return Counter(self.of.values())


def run(checkout: Checkout, tests: Iterable[str], folder: Path, *, way: str | None, writer: str = "inline") -> Outcomes:
    """Run tests.

    Args:
        checkout: The checkout. Its own ``gymnasium`` is imported, not an installed one.
        tests: Paths in the checkout, or ids of tests.
        folder: An empty folder. The recordings go into ``recordings``.
        way: One of ``WAYS``, or None to record nothing.
        writer: The option of the recorder.
    """
    working, recordings, outcomes = folder / "working", folder / "recordings", folder / "outcomes.jsonl"
    for each in (working, recordings):
        each.mkdir()
    (working / "tests").symlink_to(checkout.path / "tests")  # a test opens ./tests/envs/...; others leave videos
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "gymnasium_suite.recording_plugin"]
    command += ["--rootdir", str(checkout.path), "-c", str(checkout.path / "pyproject.toml")]
    command += ["--continue-on-collection-errors", "--outcomes", str(outcomes)]
    if way is not None:
        command += ["--way", way, "--recordings", str(recordings), "--writer", writer]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(checkout.path), str(SCRIPTS)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SDL_VIDEODRIVER": "dummy",  # windows without a screen
        "SDL_AUDIODRIVER": "dummy",
    }
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [*command, *(str(checkout.path / each) for each in tests)],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=working,
            env=environment,
        )
        try:
            code = str(process.wait(checkout.timeout_s))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = f"a timeout of {checkout.timeout_s:.0f} s"
    if not outcomes.exists():
        raise RuntimeError(f"pytest ran no test:\n{(folder / 'log.txt').read_text()[-2000:]}")
    return _read(outcomes, code)


def _read(path: Path, code: str) -> Outcomes:
    outcomes = Outcomes()
    for line in path.read_text().splitlines():
        test, outcome, text = json.loads(line)
        if outcomes.of.get(test) != "failed":  # else its teardown
            outcomes.of[test], outcomes.texts[test] = outcome, text
    if outcomes.of.pop("", None) is None:
        begun = [test for test, outcome in outcomes.of.items() if outcome == "begun"]
        outcomes.ended = f"pytest ended with {code} in {', '.join(begun) or 'the collection'}"
        outcomes.of.update(dict.fromkeys(begun, "failed"))
    return outcomes
