"""Fixtures of the command line's tests: the command line itself, and a module of policies."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from gymnasium import spaces

from gym_h5record.cli import main
from tests.paintings import Painter
from tests.replay.evaluation.policies import record_actions
from tests.treasures import record_treasures, registered

Cli = Callable[..., Result]

AGENT = """
import numpy as np
from gymnasium import spaces
from tests.replay.evaluation.policies import Counter

def one(observation):
    return 1

def pull(observation):
    return np.array([0.5], np.float32)

def none(observation):
    return None

def same(observation):
    return observation % 20

def talk(observation):
    print("thinking")
    return 1

def fail(observation):
    raise ZeroDivisionError("no idea")

def make():
    return Counter(spaces.Discrete(3))
"""


@pytest.fixture
def painters_closed() -> list[Painter]:
    """Grows with every Painter that is closed."""
    Painter.closed.clear()
    return Painter.closed


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Call the command line in an empty directory, 80 columns wide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))

    # Before click 8.2 stderr goes into stdout unless one objects.
    runner = CliRunner(**({"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}))

    def call(*arguments: object) -> Result:
        return runner.invoke(main, [str(each) for each in arguments])

    return call


@pytest.fixture
def agent(cli: Cli, tmp_path: Path) -> Iterator[None]:
    """The module ``some_agent`` in the directory of ``cli``."""
    (tmp_path / "some_agent.py").write_text(AGENT)
    yield
    sys.modules.pop("some_agent", None)


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    """Three episodes of Discrete actions, the second one incomplete."""
    return record_actions(tmp_path / "run.h5", spaces.Discrete(3), [[0, 1, 2, 1], [1, 1], [2, 2, 2, 0]])


@pytest.fixture
def deep_sea() -> Iterator[str]:
    """The id of an environment whose rewards are arrays."""
    with registered() as env_id:
        yield env_id


@pytest.fixture(scope="session")
def treasures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of that environment, by an agent that adds extras; do not change it."""
    return record_treasures(tmp_path_factory.mktemp("treasures") / "treasures.h5")
