"""The documents: every name and link in them leads to something, and the README does what it says."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import click
import gymnasium as gym
import pytest
from click.testing import CliRunner

import gym_h5record as h5r
from gym_h5record.cli import main
from gym_h5record.cli.verbs import LazyCommand
from gym_h5record.errors import MissingDependencyError

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
}

each_document = pytest.mark.parametrize("name", DOCUMENTS)


# Names and links ----------------------------------------------------------------------------------


def resolve(name: str) -> object:
    """The module, class or function with a dotted name."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        except MissingDependencyError:  # the module is there, and cannot be loaded without the library
            return importlib.util.find_spec(".".join(parts[:2]))
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(name)


def anchors(text: str) -> set[str]:
    """The fragments by which GitHub links to the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_document
def test_every_file_that_a_document_names_exists(name: str) -> None:
    paths = re.findall(r"(?<![\w./-])(?:gym_h5record|tests|scripts|docs)/[\w./-]*\w/?", DOCUMENTS[name])
    missing = [path for path in paths if path != "gym_h5record/Replay-v0" and not (ROOT / path).exists()]
    assert missing == []


@each_document
def test_every_module_class_and_function_that_a_document_names_exists(name: str) -> None:
    for dotted in re.findall(r"(?<![\w./-])gym_h5record(?:\.[A-Za-z_]\w*)+", DOCUMENTS[name]):
        resolve(dotted)
    for public in re.findall(r"\bh5r\.(\w+)", DOCUMENTS[name]):
        assert hasattr(h5r, public), public


@each_document
def test_every_relative_link_leads_to_a_file_and_a_heading(name: str) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", DOCUMENTS[name]):
        if target.startswith(("http:", "https:")):
            continue
        path = (ROOT / name).parent / target if target else ROOT / name
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text("utf-8")), anchor


@each_document
def test_every_command_that_a_document_names_has_this_verb_and_these_options(name: str) -> None:
    for verb, rest in re.findall(r"(?<!/)gym-h5record ([a-z]+)\b([^`\n]*)", DOCUMENTS[name]):
        command = main.commands[verb]
        assert isinstance(command, LazyCommand)
        known = {option for each in command.load().params if isinstance(each, click.Option) for option in each.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, verb


def test_the_list_of_decisions_has_all_of_them_with_their_titles() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = dict(re.findall(r"^- \[(.+)\]\((.+)\)$", DOCUMENTS["docs/decisions/README.md"], re.MULTILINE))
    titles = {
        path.read_text("utf-8").splitlines()[0].removeprefix("# "): path.name for path in sorted(folder.glob("0*.md"))
    }
    assert list(listed.items()) == list(titles.items())


# Promises -----------------------------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_python_of_the_readme_runs_from_top_to_bottom_and_its_commands_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), namespace)
    shown = capsys.readouterr().out
    assert shown.startswith("3 ")
    assert "(10, 160, 160, 3)" in shown
    assert shown.endswith("ALE/Breakout-v5\n")
    for line in blocks("sh")[-1].splitlines():
        result = CliRunner().invoke(main, line.split()[1:])
        assert result.exit_code == 0, result.output
    assert (tmp_path / "run.gif").stat().st_size > 0


def test_the_set_up_commands_of_the_readme_are_the_two_that_ci_runs() -> None:
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    assert commands[0].endswith("gym-h5record record ALE/Breakout-v5 --episodes 3 -o breakout.h5")
    assert commands[1].endswith(".venv/bin/pytest")


def test_gymnasium_makes_the_replay_without_an_import_if_its_id_names_the_package(tmp_path: Path) -> None:
    with h5r.RecordToHDF5(gym.make("CartPole-v1"), tmp_path / "run.h5") as env:
        env.reset(seed=0)
        env.step(0)
    code = """
import sys
import gymnasium as gym
assert "gym_h5record" not in sys.modules
env = gym.make("gym_h5record:gym_h5record/Replay-v0", path=sys.argv[1])
env.reset()
print(env.step(0)[1])
env.close()
"""
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "run.h5")]
    made = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (made.returncode, made.stdout, made.stderr) == (0, "1.0\n", "")
