"""``gym-h5record info``: what is told about a recording."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import gym_h5record as h5r
from tests.lane_recordings import record_lanes
from tests.paintings import FRAMES, record_paintings
from tests.treasures import DeepSea


def facts(stdout: str) -> dict[str, str]:
    """The lines above the table of columns, by name."""
    lines = stdout.split("\n\ncolumn")[0].splitlines()
    return {
        name: value for name, _, value in (re.split(r"(\s{2,})", line, maxsplit=1) for line in lines if "  " in line)
    }


def test_it_tells_what_was_recorded(cli: Any, paintings: Path) -> None:
    result = cli("info", paintings)
    assert result.exit_code == 0
    told = facts(result.stdout)
    assert told["environment"].startswith("Painter-v0  (")
    assert told["observations"] == "Box(0.0, 1000.0, (2,), float32)"
    assert told["actions"] == "Discrete(5)"
    assert told["frames"] == "rendered, 25 per second"
    assert told["agent id"] == "hand"
    assert told["wrappers"] == "OrderEnforcing, PassiveEnvChecker"
    assert told["episodes"] == "2"
    assert told["steps"] == "10, in 12 rows"
    assert told["returns"] == "█▁  min 3  mean 8.5  max 14"
    assert told["lengths"] == "█▁  min 3  mean 5  max 7"
    assert told["infos"] == "paint"


def test_every_camera_has_a_line(cli: Any, tmp_path: Path) -> None:
    record_paintings(tmp_path / "run.h5", (2,), **FRAMES["cameras"])
    stdout = cli("info", "run.h5", "--storage").stdout
    assert facts(stdout)["frames"] == "of cameras, 25 per second"
    names = ["depth", "front", "map%2Ftext/ends", "map%2Ftext/values", "wrist/depth", "wrist/rgb"]
    assert sorted(line.split()[0] for line in stdout.splitlines() if line.startswith("frames/")) == [
        f"frames/{name}" for name in names
    ]


def test_every_column_has_a_line(cli: Any, paintings: Path) -> None:
    lines = cli("info", paintings, "--storage").stdout.splitlines()
    (frames,) = (line.split() for line in lines if line.startswith("frames  ") and "12x" in line)
    assert frames[1:4] == ["12x12x16x3", "uint8", "gzip"]
    assert any(line.startswith("rewards ") for line in lines)
    assert any(line.startswith("together ") for line in lines)


def test_a_wide_terminal_shows_the_chunks_too(cli: Any, paintings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    lines = cli("info", paintings, "--storage").stdout.splitlines()
    (frames,) = (line.split() for line in lines if line.startswith("frames  ") and "12x" in line)
    assert frames[1:5] == ["12x12x16x3", "uint8", "128", "gzip"]


def test_all_of_it_fits_on_one_screen(cli: Any, paintings: Path) -> None:
    lines = cli("info", paintings).stdout.splitlines()
    assert len(lines) <= 24
    assert [line.split()[0] for line in lines[:7]] == [
        *("recording", "size", "environment", "episodes", "steps", "returns", "lengths")
    ]
    assert not any(line.startswith("column") for line in lines)


def test_long_names_of_columns_go_on_behind_a_slash(cli: Any, tmp_path: Path) -> None:
    inner = gym.spaces.Dict({"another_quite_long_name": gym.spaces.Discrete(3)})
    space = gym.spaces.Dict({"a_very_long_name_of_a_part": inner})
    with h5r.Writer(
        tmp_path / "run.h5", observation_space=space, action_space=gym.spaces.Discrete(2), writer="inline"
    ) as writer:
        writer.begin_episode(space.sample())
        writer.append(0, space.sample(), 0.0, True, False)
    lines = [line.split() for line in cli("info", "run.h5", "--storage").stdout.splitlines()]
    at = next(at for at, line in enumerate(lines) if line[:1] == ["observations/"])
    assert [line[0] for line in lines[at : at + 3]] == [
        *("observations/", "a_very_long_name_of_a_part/", "another_quite_long_name")
    ]


def test_lines_fit_into_80_columns_and_have_no_colours(cli: Any, paintings: Path) -> None:
    stdout = cli("info", paintings, "--storage").stdout
    assert max(map(len, stdout.splitlines()[1:])) <= 80  # the first one has the path
    assert "\x1b" not in stdout
    assert not re.search(" +$", stdout, re.MULTILINE)


def test_json_says_it_all_in_one_object(cli: Any, paintings: Path) -> None:
    content = json.loads(cli("info", paintings, "--json").stdout)
    assert content["path"] == str(paintings)
    assert content["bytes"] == paintings.stat().st_size
    assert content["environment"]["name"] == "Painter-v0"
    assert content["observation_space"]["type"] == "Box"
    assert content["frames"] == "render"
    assert (content["episodes"], content["incomplete_episodes"]) == (2, 0)
    assert (content["steps"], content["rows"], content["num_envs"]) == (10, 12, 1)
    assert content["returns"] == {"min": 3.0, "mean": 8.5, "max": 14.0}
    frames = next(column for column in content["columns"] if column["name"] == "frames")
    assert frames["shape"] == [12, 12, 16, 3]
    assert frames["raw_bytes"] == 12 * 12 * 16 * 3
    assert frames["ratio"] == pytest.approx(frames["raw_bytes"] / frames["stored_bytes"])


def test_incomplete_episodes_are_counted(cli: Any) -> None:
    cli("record", "Painter-v0", "-o", "run.h5", "--steps", 10)
    told = facts(cli("info", "run.h5").stdout)
    assert told["episodes"] == "2, 1 of them incomplete"
    assert told["returns"] == "min 14  mean 14  max 14"
    assert told["lengths"] == "min 7  mean 7  max 7"
    assert told["left out"] == "1 incomplete episode, of returns and lengths"
    content = json.loads(cli("info", "run.h5", "--json").stdout)
    assert (content["incomplete_episodes"], content["returns"]["mean"], content["lengths"]["mean"]) == (1, 14.0, 7.0)


def test_without_a_complete_episode_there_are_no_means(cli: Any) -> None:
    cli("record", "Painter-v0", "-o", "run.h5", "--steps", 3)
    told = facts(cli("info", "run.h5").stdout)
    assert (told["returns"], told["lengths"]) == ("no complete episode", "no complete episode")
    content = json.loads(cli("info", "run.h5", "--json").stdout)
    assert content["returns"] is content["lengths"] is None


def test_masks_are_told_with_their_sizes(cli: Any, paintings: Path, tmp_path: Path) -> None:
    path = shutil.copy(paintings, tmp_path / "run.h5")
    assert "masks" not in facts(cli("info", path).stdout)
    h5r.add_mask(path, "train", [1])
    h5r.add_mask(path, "all", [0, 1])
    told = cli("info", path, "--storage").stdout
    assert facts(told)["masks"] == "train 1 episode, all 2 episodes"
    assert "masks/train" in told
    content = json.loads(cli("info", path, "--json").stdout)
    assert content["masks"] == {"train": 1, "all": 2}
    assert {"masks/train", "masks/all"} <= {column["name"] for column in content["columns"]}


def test_text_from_the_file_neither_drives_the_terminal_nor_is_markup(cli: Any, tmp_path: Path) -> None:
    evil = "[bold]x[/bold] \x1b[31m\x07 \ud800 line\nbreak"
    path = record_paintings(tmp_path / "run.h5", (2,), metadata={"note": evil, evil: 1, "agent_id": "[red]\x1b]0;"})
    result = cli("info", path)
    assert result.exit_code == 0
    assert not {"\x1b", "\x07", "\ud800"} & set(result.stdout)
    assert r"[bold]x[/bold] \x1b[31m\x07 \ud800 line\nbreak" in result.stdout.replace("\n              ", " ")
    assert facts(result.stdout)["agent id"] == r"[red]\x1b]0;"
    assert json.loads(cli("info", path, "--json").stdout)["metadata"]["note"] == evil


def test_the_name_of_the_file_is_not_markup_either(cli: Any, tmp_path: Path, paintings: Path) -> None:
    shutil.copy(paintings, tmp_path / "a[red]\x1b[31m.h5")
    result = cli("info", "a[red]\x1b[31m.h5")
    assert result.exit_code == 0
    assert r"a[red]\x1b[31m.h5" in result.stdout.replace("\n", "").replace(" ", "")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("absent.h5", None, "there is no recording at"), ("text.h5", b"no HDF5", "is not an HDF5 file")],
)
def test_what_is_no_recording_is_one_line(
    cli: Any, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = cli("info", name)
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.match(f"error: .*{message}.*\n$", result.stderr)


# Extras, times, and rewards that are arrays ---------------------------------------------------------


def test_extras_and_times_are_told(cli: Any, treasures: Path) -> None:
    told = facts(cli("info", treasures).stdout)
    assert told["extras"] == "log_prob, values, others as JSON text"
    assert told["times"] == "one for each row"
    content = json.loads(cli("info", treasures, "--json").stdout)
    assert (content["extras"], content["times"]) == (["log_prob", "values"], True)


def test_without_extras_and_times_that_is_told(cli: Any, tmp_path: Path) -> None:
    recorder = h5r.RecordToHDF5(DeepSea(), tmp_path / "run.h5", writer="inline", times=False)
    recorder.reset()
    recorder.step(0)
    recorder.close()
    told = facts(cli("info", "run.h5").stdout)
    assert (told["extras"], told["times"]) == ("none", "none")
    content = json.loads(cli("info", "run.h5", "--json").stdout)
    assert (content["extras"], content["times"]) == ([], False)


def test_extras_may_all_be_json(cli: Any, tmp_path: Path) -> None:
    recorder = h5r.RecordToHDF5(DeepSea(), tmp_path / "run.h5", writer="inline")
    recorder.reset()
    recorder.add_extras(prompt="dive?")
    recorder.step(0)
    recorder.close()
    assert facts(cli("info", "run.h5").stdout)["extras"] == "as JSON text"


def test_returns_that_are_arrays_are_told_element_by_element(cli: Any, treasures: Path) -> None:
    told = facts(cli("info", treasures).stdout)
    assert told["returns"] == "min [9.5, -0.5]  mean [9.5, -0.5]  max [9.5, -0.5]"
    assert told["left out"] == "1 incomplete episode, of returns and lengths"
    returns = json.loads(cli("info", treasures, "--json").stdout)["returns"]
    assert returns["min"] == returns["mean"] == returns["max"] == pytest.approx([9.5, -0.5])


def test_returns_that_are_nan_are_null_in_json(cli: Any, tmp_path: Path) -> None:
    env = gym.wrappers.TransformReward(DeepSea(), lambda _: float("nan"))
    recorder = h5r.RecordToHDF5(env, tmp_path / "run.h5", writer="inline")
    recorder.reset()
    while not recorder.step(1)[2]:
        pass
    recorder.close()
    assert facts(cli("info", "run.h5").stdout)["returns"] == "min nan  mean nan  max nan"
    content = json.loads(cli("info", "run.h5", "--json").stdout, parse_constant=pytest.fail)
    assert content["returns"] == {"min": None, "mean": None, "max": None}


def test_lanes_are_told_with_how_they_were_reset(cli: Any, tmp_path: Path) -> None:
    record_lanes(tmp_path / "run.h5", mode="SAME_STEP")
    assert facts(cli("info", "run.h5").stdout)["lanes"] == "4 environments side by side, autoreset SAME_STEP"
    content = json.loads(cli("info", "run.h5", "--json").stdout)
    assert (content["num_envs"], content["autoreset_mode"]) == (4, "SAME_STEP")
    record_lanes(tmp_path / "one.h5", lengths=((2,),))
    assert facts(cli("info", "one.h5").stdout)["lanes"] == "1 environment side by side, autoreset NEXT_STEP"


def test_a_single_environment_has_no_lanes(cli: Any, paintings: Path) -> None:
    assert "lanes" not in facts(cli("info", paintings).stdout)
    assert json.loads(cli("info", paintings, "--json").stdout)["autoreset_mode"] is None
