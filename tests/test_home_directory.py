"""``~`` at the beginning of a path is the home directory, wherever a path is taken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from click.testing import CliRunner

import gym_h5record as h5r
from gym_h5record.cli import main
from gym_h5record.cli.verbs import HELP_BY_VERB
from gym_h5record.errors import RecordingNotFoundError
from tests.paintings import Painter

PATH = "~/run.h5"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paintings: Path) -> Path:
    """A home directory with a recording; the working directory is another one."""
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    for each in (home, elsewhere):
        each.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "matplotlib"))  # else Matplotlib makes folders in the home
    monkeypatch.chdir(elsewhere)
    shutil.copy(paintings, home / "run.h5")
    return home


def _first_return(path: Any) -> float:
    with h5r.Recording(path) as recording:
        return float(recording.returns[0])


def _replayed(env: gym.Env[Any, Any]) -> Any:
    observation, _ = env.reset()
    env.close()
    return observation.tolist()


READS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "Recording": (_first_return, 14.0),
    "ReplayFromHDF5": (lambda path: _replayed(h5r.ReplayFromHDF5(path)), [0, 0.5]),
    "Replay-v0": (lambda path: _replayed(gym.make("gym_h5record/Replay-v0", path=path)), [0, 0.5]),
    "ResetFromRecording": (lambda path: h5r.ResetFromRecording(Painter("rgb_array"), path).close(), None),
    "verify": (lambda path: h5r.verify(path).num_steps, 10),
    "branch": (lambda path: h5r.branch(path, 0, 3)[1].tolist(), [3, 0.5]),
    "evaluate": (lambda path: h5r.evaluate(lambda _: 0, path).num_steps, 10),
    "diff": (lambda path: h5r.diff(path, path).ok, True),
    "validate": (lambda path: h5r.validate(path, deep=True), []),
    "repair": (lambda path: h5r.repair(path).found, "closed"),
}


@pytest.mark.parametrize("name", READS)
def test_what_reads_a_recording_finds_it(name: str, home: Path) -> None:
    read, expected = READS[name]
    assert read(PATH) == read(Path(PATH)) == expected


def test_the_recorder_makes_the_file_there(home: Path) -> None:
    env = h5r.RecordToHDF5(Painter(), "~/new.h5", writer="inline")
    env.reset()
    env.close()
    assert [each.name for each in sorted(home.iterdir())] == ["new.h5", "run.h5"]


def test_rows_are_salvaged_to_there(home: Path) -> None:
    data = (home / "run.h5").read_bytes()
    (home / "run.h5").write_bytes(data[:-200])
    report = h5r.repair(PATH, salvage="~/saved.h5")
    assert report.salvaged == home / "saved.h5"
    assert _first_return("~/saved.h5") == 14.0


def test_a_user_who_does_not_exist_has_no_home(home: Path) -> None:
    with pytest.raises(RecordingNotFoundError, match="~nobody_at_all/run.h5"):
        h5r.Recording("~nobody_at_all/run.h5")


COMMANDS = {
    "record": ("Painter-v0", "--output=~/new.h5"),
    "info": (PATH,),
    "replay": (PATH, "--gif=~/run.gif", "--png=~/run.png"),
    "verify": (PATH, "--episodes=0"),  # the other one is shorter than the environment makes it
    "validate": (PATH,),
    "diff": (PATH, PATH),
    "repair": (PATH, "--salvage=~/saved.h5"),
    "tail": (PATH, "--no-follow"),
    "video": (PATH, "--output=~/video.gif", "--scale=8"),
    "stats": (PATH, "--plot=~/plot.png"),
}
MADE = {"record": {"new.h5"}, "replay": {"run.gif", "run.png"}, "video": {"video.gif"}, "stats": {"plot.png"}}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("verb", HELP_BY_VERB)
def test_every_verb_finds_it(verb: str, home: Path) -> None:
    result = CliRunner().invoke(main, [verb, *COMMANDS[verb], "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])
    assert {each.name for each in home.iterdir()} == {"run.h5"} | MADE.get(verb, set())
    assert list(Path.cwd().iterdir()) == []
