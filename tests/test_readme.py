"""The README does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from gym_h5record.cli import main

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_its_python_runs_from_top_to_bottom_and_its_commands_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), namespace)
    shown = capsys.readouterr().out
    assert shown.startswith("3 ")
    assert "(10, 210, 160, 3)" in shown
    assert shown.endswith("ALE/Breakout-v5\n")
    for line in blocks("sh")[-1].splitlines():
        result = CliRunner().invoke(main, line.split()[1:])
        assert result.exit_code == 0, result.output
    assert (tmp_path / "run.gif").stat().st_size > 0


def test_the_set_up_commands_are_the_two_that_ci_runs() -> None:
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    assert commands[0].endswith("gym-h5record record ALE/Breakout-v5 --episodes 3 -o breakout.h5")
    assert commands[1].endswith(".venv/bin/pytest")


def test_its_links_and_pictures_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (Path(__file__).parents[1] / target).exists(), target
