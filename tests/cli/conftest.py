"""What the tests of the command line share: a way to call it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from inspect import signature
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gym_h5record.cli import main
from tests.paintings import Painter

Cli = Callable[..., Result]


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
