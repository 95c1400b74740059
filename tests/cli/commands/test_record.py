"""``gym-h5record record``: what is recorded, where, and how it is reported."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.storage.usage import column_usage


def test_one_episode_is_recorded_by_default_to_a_file_named_like_the_environment(cli: Any) -> None:
    result = cli("record", "CartPole-v1")
    assert result.exit_code == 0
    assert re.fullmatch(
        r"CartPole-v1\.h5: 1 episode, \d+ steps, mean return \d+, [\d.]+ kB, [\d,]+ steps/s\n", result.stdout
    )
    assert result.stderr == ""
    with h5r.Recording("CartPole-v1.h5") as recording:
        assert recording.num_episodes == 1
        assert recording.episodes[0].complete


def test_only_the_recording_is_left_behind(cli: Any, tmp_path: Path) -> None:
    assert cli("record", "CartPole-v1", "-o", "run.h5").exit_code == 0
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]


def test_it_stops_after_the_episodes_wanted(cli: Any) -> None:
    cli("record", "Painter-v0", "-o", "run.h5", "--episodes", 3)
    with h5r.Recording("run.h5") as recording:
        assert [episode.length for episode in recording.episodes] == [7, 7, 7]


def test_it_stops_after_the_steps_wanted_in_the_middle_of_an_episode(cli: Any) -> None:
    result = cli("record", "Painter-v0", "-o", "run.h5", "--steps", 10)
    assert "2 episodes (1 incomplete), 10 steps, mean return 14 without 1 incomplete, " in result.stdout
    with h5r.Recording("run.h5") as recording:
        assert [(episode.length, episode.complete) for episode in recording.episodes] == [(7, True), (3, False)]


def test_steps_that_end_with_an_episode_begin_no_other(cli: Any) -> None:
    cli("record", "Painter-v0", "-o", "run.h5", "--steps", 14)
    with h5r.Recording("run.h5") as recording:
        assert recording.num_episodes == 2


@pytest.mark.parametrize(("episodes", "steps", "recorded_steps"), [(1, 100, 7), (5, 10, 10)])
def test_whichever_limit_comes_first_counts(cli: Any, episodes: int, steps: int, recorded_steps: int) -> None:
    cli("record", "Painter-v0", "-o", "run.h5", "--episodes", episodes, "--steps", steps)
    with h5r.Recording("run.h5") as recording:
        assert recording.num_steps == recorded_steps


def test_a_seed_makes_everything_the_same_and_is_given_to_the_first_reset_only(cli: Any) -> None:
    for name in ("a.h5", "b.h5"):
        cli("record", "CartPole-v1", "-o", name, "--seed", 5, "--episodes", 3)
    with h5r.Recording("a.h5") as first, h5r.Recording("b.h5") as second:
        assert np.array_equal(first.rows.observations[:], second.rows.observations[:])
        assert np.array_equal(first.rows.actions[:], second.rows.actions[:])
        assert [episode.seed for episode in first.episodes] == [5, None, None]


def test_arguments_of_the_environment_are_literals_or_strings(cli: Any) -> None:
    cli("record", "FrozenLake-v1", "-o", "run.h5", "--env-kwargs", "is_slippery=False", "--env-kwargs", "map_name=8x8")
    with h5r.Recording("run.h5") as recording:
        assert recording.env_spec.kwargs["is_slippery"] is False
        assert recording.observation_space.n == 64


def test_metadata_is_stored(cli: Any) -> None:
    cli(
        "record",
        "CartPole-v1",
        "-o",
        "run.h5",
        "--metadata",
        "agent_id=me",
        "--metadata",
        "lr=0.1",
        "--metadata",
        "x=a=b",
    )
    with h5r.Recording("run.h5") as recording:
        assert recording.metadata["agent_id"] == "me"
        assert recording.metadata["user"] == {"lr": 0.1, "x": "a=b"}


@pytest.mark.parametrize(
    ("options", "kind"),
    [((), "none"), (("--frames", "render"), "render"), (("--render-mode", "rgb_array"), "render")],
)
def test_pictures_are_rendered_when_asked_for(cli: Any, options: tuple[str, ...], kind: str) -> None:
    assert cli("record", "Painter-v0", "-o", "run.h5", *options).exit_code == 0
    with h5r.Recording("run.h5") as recording:
        assert recording.metadata["frames"] == kind
        assert (recording.rows.frames is not None) == (kind == "render")


def test_frames_none_stores_none_even_of_an_environment_that_renders(cli: Any) -> None:
    cli("record", "Painter-v0", "-o", "run.h5", "--render-mode", "rgb_array", "--frames", "none")
    with h5r.Recording("run.h5") as recording:
        assert recording.rows.frames is None


@pytest.mark.parametrize(
    ("compression", "opts", "stored_filter"),
    [("gzip", (), "gzip"), ("gzip", ("--compression-opts", 9), "gzip"), ("lzf", (), "lzf"), ("none", (), None)],
)
def test_the_compression_is_the_one_wanted(
    cli: Any, compression: str, opts: tuple[Any, ...], stored_filter: str | None
) -> None:
    result = cli("record", "Painter-v0", "-o", "run.h5", "--frames", "render", "--compression", compression, *opts)
    assert result.exit_code == 0
    filters = {column.name: column.filter for column in column_usage("run.h5")}
    assert filters["frames"] == stored_filter


@pytest.mark.parametrize("writer", ["process", "inline"])
def test_both_writers_record(cli: Any, writer: str) -> None:
    assert cli("record", "CartPole-v1", "-o", "run.h5", "--writer", writer, "--steps", 50).exit_code == 0
    with h5r.Recording("run.h5") as recording:
        assert recording.num_steps == 50


def test_checksums_are_kept_and_power_cuts_survived_if_wanted(cli: Any) -> None:
    result = cli("record", "CartPole-v1", "-o", "run.h5", "--checksum", "--durability", "power")
    assert result.exit_code == 0, result.stderr
    assert h5r.validate("run.h5", deep=True) == []
    with h5py.File("run.h5") as file:
        assert "rewards" in file["checksums"]


def test_frames_are_stacked(cli: Any) -> None:
    cli("record", "CartPole-v1", "-o", "run.h5", "--frame-stack", 3)
    with h5r.Recording("run.h5") as recording:
        assert recording.observation_space.shape == (3, 4)


def test_the_environment_is_closed_once(cli: Any, painters_closed: list[Any]) -> None:
    cli("record", "Painter-v0", "-o", "run.h5")
    assert len(painters_closed) == 1


# The file that is already there -----------------------------------------------------------------------


def test_an_existing_file_is_never_touched_unasked(cli: Any, tmp_path: Path, painters_closed: list[Any]) -> None:
    cli("record", "Painter-v0", "-o", "run.h5")
    before = (tmp_path / "run.h5").read_bytes()
    result = cli("record", "Painter-v0", "-o", "run.h5")
    assert result.exit_code == 1
    assert re.match(r"error: run.h5 exists already.*--output.*--append.*--overwrite", result.stderr)
    assert (tmp_path / "run.h5").read_bytes() == before
    assert len(painters_closed) == 2


def test_append_goes_on_and_overwrite_begins_anew(cli: Any) -> None:
    cli("record", "Painter-v0", "-o", "run.h5")
    result = cli("record", "Painter-v0", "-o", "run.h5", "--append", "--episodes", 2)
    assert result.exit_code == 0
    assert re.match("run.h5: 2 episodes, 14 steps, mean return 14, .* in all", result.stdout)
    with h5r.Recording("run.h5") as recording:
        assert recording.num_episodes == 3
    assert cli("record", "Painter-v0", "-o", "run.h5", "--overwrite").exit_code == 0
    with h5r.Recording("run.h5") as recording:
        assert recording.num_episodes == 1


def test_appending_another_environment_is_refused(cli: Any) -> None:
    cli("record", "Painter-v0", "-o", "run.h5")
    result = cli("record", "CartPole-v1", "-o", "run.h5", "--append")
    assert result.exit_code == 1
    assert re.match("error: cannot append to .*run.h5", result.stderr)


# What is printed --------------------------------------------------------------------------------------


def test_json_is_one_object_on_one_line_and_nothing_else_is_printed(cli: Any, tmp_path: Path) -> None:
    result = cli("record", "Painter-v0", "-o", "run.h5", "--steps", 10, "--json")
    assert result.stderr == ""
    assert result.stdout.count("\n") == 1
    content = json.loads(result.stdout)
    seconds, steps_per_second = content.pop("seconds"), content.pop("steps_per_second")
    assert content == {
        "path": "run.h5",
        "steps": 10,
        "episodes": 2,
        "incomplete_episodes": 1,
        "returns": [14.0, 3.0],
        "mean_return": 14.0,
        "bytes": (tmp_path / "run.h5").stat().st_size,
        "interrupted": False,
    }
    assert steps_per_second == pytest.approx(9 / seconds, rel=0.01)  # of the steps behind the first one


def test_a_single_step_has_no_speed(cli: Any) -> None:
    assert cli("record", "Painter-v0", "-o", "a.h5", "--steps", 1).stdout.endswith(" kB\n")
    content = json.loads(cli("record", "Painter-v0", "-o", "b.h5", "--steps", 1, "--json").stdout)
    assert (content["seconds"], content["steps_per_second"]) == (0, None)


def test_rewards_that_are_arrays_are_added_up_element_by_element(cli: Any, deep_sea: str) -> None:
    result = cli("record", deep_sea, "-o", "a.h5", "--policy", "tests.treasures:dive", "--episodes", 2)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("a.h5: 2 episodes, 2 steps, mean return [1.5, -0.1], ")
    arguments = ("record", deep_sea, "-o", "b.h5", "--policy", "tests.treasures:dive", "--episodes", 2, "--json")
    assert json.loads(cli(*arguments).stdout)["returns"] == [[1.5, -0.1], [1.5, -0.1]]


def test_a_home_directory_is_found(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    result = cli("record", "CartPole-v1", "-o", "~/run.h5", "--json")
    assert json.loads(result.stdout)["bytes"] == (tmp_path / "home" / "run.h5").stat().st_size


def test_quiet_prints_nothing(cli: Any) -> None:
    result = cli("record", "CartPole-v1", "--quiet")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line_without_colours(cli: Any) -> None:
    result = cli("record", "CartPole-v0", "--steps", 5)
    assert result.exit_code == 0
    assert re.fullmatch(r"warning: The environment CartPole-v0 is out of date\.[^\x1b\n]*\n", result.stderr)


# What goes wrong --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Nowhere-v1",), "cannot make Nowhere-v1: Environment `Nowhere` doesn't exist"),
        (("CartPole-v9",), "cannot make CartPole-v9: .*doesn't exist.*`v1`"),
        (("no_such_module:Env-v0",), "cannot make no_such_module:Env-v0: .*No module named"),
        (("ALE/Nothing-v5",), "cannot make ALE/Nothing-v5: "),
        (("CartPole-v1", "--env-kwargs", "wheels=3"), "cannot make CartPole-v1: TypeError: .*'wheels'"),
        (("FrozenLake-v1", "--env-kwargs", "map_name=9x9"), "cannot make FrozenLake-v1: KeyError: '9x9'"),
        (("CartPole-v1", "--frames", "observation"), 'frames="observation" needs observations that are pictures'),
        (("CartPole-v1", "--compression-opts", "99"), "gzip: compression_opts must be .* from 0 to 9, got 99"),
        (("CartPole-v1", "-o", "nowhere/run.h5"), "cannot record to .*the directory .* does not exist"),
        (("CartPole-v1", "--atari-preprocessing"), "cannot make CartPole-v1: .*needs an Atari game"),
        (("Painter-v0", "--env-kwargs", "lacks=canvas"), "canvas is not installed, run pip install canvas"),
    ],
)
def test_what_does_not_fit_is_one_line_and_leaves_no_file(
    cli: Any, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = cli("record", *arguments)
    assert result.exit_code == 1
    assert re.match(f"error: {message}", result.stderr)
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--append", "--overwrite"), "--append and --overwrite exclude each other"),
        (("--steps", "0"), "0 is not in the range"),
        (("--seed", "-1"), "-1 is not in the range"),
        (("--env-kwargs", "novalue"), "expected key=value, got 'novalue'"),
        (("--env-kwargs", "=3"), "expected key=value, got '=3'"),
        (("--frames", "some"), "'some' is not one of"),
        (("--policy", "clever"), "expected 'random' or package.module:callable, got 'clever'"),
    ],
)
def test_wrong_usage_has_a_code_of_its_own(cli: Any, arguments: tuple[str, ...], message: str) -> None:
    result = cli("record", "CartPole-v1", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_an_error_of_the_environment_keeps_its_traceback_and_the_steps_before_it(
    cli: Any, painters_closed: list[Any]
) -> None:
    result = cli("record", "Painter-v0", "-o", "run.h5", "--env-kwargs", "fail_at=4")
    assert result.exit_code == 1
    assert isinstance(result.exception, ZeroDivisionError)
    assert len(painters_closed) == 1
    with h5r.Recording("run.h5") as recording:
        assert recording.num_steps == 3
