"""``gym-h5record replay``: steps in the terminal, pictures in files."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image, ImageSequence

import gym_h5record as h5r
from tests.paintings import FRAMES, expected_frame, record_paintings


def test_it_shows_the_first_episode_step_by_step(cli: Any, paintings: Path) -> None:
    result = cli("replay", paintings)
    assert result.exit_code == 0
    headline, _, header, reset, *steps = result.stdout.splitlines()
    assert headline == "episode 0: 7 steps, return 14, terminated, seed 0"
    assert header.split() == ["step", "action", "reward", "return", "end", "observation", "info"]
    assert reset.split() == ["reset", "[0", "0.5]", "brush=new"]
    assert [line.split()[:4] for line in steps[:2]] == [["0", "0", "0.5", "0.5"], ["1", "1", "1", "1.5"]]
    assert steps[-1].split() == ["6", "1", "3.5", "14", "terminated", "[7", "0.5]", "paint=0.143"]


@pytest.mark.parametrize(("number", "length"), [(0, 7), (1, 3), (-1, 3), (-2, 7)])
def test_an_episode_is_chosen_by_its_number(cli: Any, paintings: Path, number: int, length: int) -> None:
    assert f": {length} steps, " in cli("replay", paintings, "--episode", number).stdout


def test_a_limit_says_how_much_it_hides(cli: Any, paintings: Path) -> None:
    lines = cli("replay", paintings, "--limit", 2).stdout.splitlines()
    assert lines[-1] == "... 5 more; show them with --limit 7"
    assert lines[-2].split()[0] == "1"


def test_a_long_episode_is_cut_unless_asked_for(cli: Any) -> None:
    cli("record", "Painter-v0", "-o", "run.h5", "--env-kwargs", "length=50")
    assert cli("replay", "run.h5").stdout.splitlines()[-1] == "... 30 more; show them with --limit 50"
    assert len(json.loads(cli("replay", "run.h5", "--json").stdout)["steps"]) == 50


def test_lines_fit_into_80_columns_whatever_the_values(cli: Any) -> None:
    cli("record", "FrozenLake-v1", "-o", "lake.h5", "--metadata", "x=1")
    cli("record", "CartPole-v1", "-o", "pole.h5", "--frame-stack", 3)
    for path in ("lake.h5", "pole.h5"):
        stdout = cli("replay", path).stdout
        assert max(map(len, stdout.splitlines())) <= 80
        assert "\x1b" not in stdout


def test_json_holds_the_exact_steps(cli: Any, paintings: Path) -> None:
    content = json.loads(cli("replay", paintings, "--json").stdout)
    assert (content["episode"], content["length"], content["return"], content["seed"]) == (0, 7, 14.0, 0)
    assert (content["terminated"], content["truncated"], content["complete"]) == (True, False, True)
    assert content["reset"] == {"observation": "[0 0.5]", "info": {"brush": "new"}}
    assert [step["step"] for step in content["steps"]] == list(range(7))
    assert [step["action"] for step in content["steps"]] == [0, 1, 2, 3, 4, 0, 1]
    assert [step["reward"] for step in content["steps"]] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]
    assert content["steps"][1]["info"] == {"paint": 0.5}
    assert content["steps"][-1]["terminated"] is True


def test_an_episode_cut_off_is_called_incomplete(cli: Any) -> None:
    cli("record", "Painter-v0", "-o", "run.h5", "--steps", 3)
    lines = cli("replay", "run.h5").stdout.splitlines()
    assert lines[0].startswith("episode 0: 3 steps, return 3, incomplete")
    assert "incomplete" in lines[-1]


def test_values_neither_drive_the_terminal_nor_are_markup(cli: Any, tmp_path: Path) -> None:
    env = gym.wrappers.TransformObservation(
        gym.make("CartPole-v1"), lambda _: "[red]\x1b[31m", gym.spaces.Text(20, charset="[red]\x1b31m")
    )
    recorder = h5r.RecordToHDF5(env, tmp_path / "run.h5")
    recorder.reset()
    recorder.step(0)
    recorder.close()
    stdout = cli("replay", "run.h5").stdout
    assert r"[red]\x1b[31m" in stdout
    assert "\x1b" not in stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--episode", "2"), "has episodes 0 to 1, there is no episode 2"),
        (("--episode", "-3"), "has episodes 0 to 1, there is no episode -3"),
        (("--gif", "x.mp4"), "cannot write x.mp4: expected a name that ends with .gif, got .mp4"),
        (("--gif", "nowhere/x.gif"), "cannot write nowhere/x.gif: the directory nowhere does not exist"),
    ],
)
def test_what_cannot_be_is_one_line(cli: Any, paintings: Path, arguments: tuple[str, ...], message: str) -> None:
    result = cli("replay", paintings, *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.match(f"error: .*{message}", result.stderr)


# Rewards that are arrays, or no numbers -----------------------------------------------------------------


def test_rewards_that_are_arrays_are_shown_with_their_returns(cli: Any, treasures: Path) -> None:
    lines = cli("replay", treasures).stdout.splitlines()
    assert lines[0] == "episode 0: 5 steps, return [9.5, -0.5], terminated, seed 0"
    cells = [re.split(" {2,}", line.strip()) for line in lines[4:]]
    assert cells[1][:4] == ["1", "0", "[0 -0.1]", "[0 -0.2]"]
    assert cells[4][:5] == ["4", "1", "[9.5 -0.1]", "[9.5 -0.5]", "terminated"]
    assert max(map(len, lines)) <= 80


def test_json_holds_arrays_of_rewards_as_lists(cli: Any, treasures: Path) -> None:
    content = json.loads(cli("replay", treasures, "--json").stdout)
    assert content["return"] == pytest.approx([9.5, -0.5])
    assert [step["reward"] for step in content["steps"]] == [[0.0, -0.1]] * 4 + [[9.5, -0.1]]
    assert content["steps"][1]["return"] == [0.0, -0.2]


def test_a_contact_sheet_shows_such_returns(cli: Any, tmp_path: Path) -> None:
    env = gym.wrappers.TransformReward(gym.make("Painter-v0", render_mode="rgb_array"), lambda r: np.array([r, -1.0]))
    recorder = h5r.RecordToHDF5(env, tmp_path / "run.h5", writer="inline")
    recorder.reset()
    recorder.step(0)
    recorder.close()
    assert cli("replay", "run.h5", "--png", "run.png").exit_code == 0


@pytest.mark.filterwarnings("ignore:/rewards. got:gym_h5record.errors.RecordingWarning")
@pytest.mark.parametrize("reward", [float("nan"), "much"])
def test_a_return_that_is_nan_is_null_in_json(cli: Any, reward: Any, tmp_path: Path) -> None:
    env = gym.wrappers.TransformReward(gym.make("CartPole-v1"), lambda _: reward)
    recorder = h5r.RecordToHDF5(env, tmp_path / "run.h5", writer="inline")
    recorder.reset()
    recorder.step(0)
    recorder.close()
    assert cli("replay", "run.h5").stdout.startswith("episode 0: 1 step, return nan, ")
    content = json.loads(cli("replay", "run.h5", "--json").stdout, parse_constant=pytest.fail)
    assert content["return"] is content["steps"][0]["return"] is None
    assert content["steps"][0]["reward"] == (None if isinstance(reward, float) else reward)


# Pictures ---------------------------------------------------------------------------------------------


def test_a_gif_holds_every_frame_exactly_at_the_recorded_speed(cli: Any, paintings: Path, tmp_path: Path) -> None:
    result = cli("replay", paintings, "--gif", "run.gif", "--scale", 1)
    assert result.stdout.endswith("wrote run.gif\n")
    with Image.open(tmp_path / "run.gif") as gif, h5r.Recording(paintings) as recording:
        frames = [np.asarray(each.convert("RGB")) for each in ImageSequence.Iterator(gif)]
        assert np.array_equal(frames, recording.episodes[0].frames[:])
        assert gif.info["loop"] == 0
    assert durations(tmp_path / "run.gif") == [40] * 8


def test_speed_scale_and_limit_of_a_gif(cli: Any, paintings: Path, tmp_path: Path) -> None:
    cli("replay", paintings, "--gif", "run.gif", "--fps", 10, "--scale", 3, "--limit", 4)
    with Image.open(tmp_path / "run.gif") as gif:
        assert gif.size == (48, 36)
    assert durations(tmp_path / "run.gif") == [100] * 5


def test_a_png_is_a_sheet_of_tiles(cli: Any, paintings: Path, tmp_path: Path) -> None:
    result = cli("replay", paintings, "--png", "run.png", "--columns", 2, "--rows", 2, "--episode", 1)
    assert result.exit_code == 0
    with Image.open(tmp_path / "run.png") as png:
        assert png.format == "PNG"
        assert png.width > 2 * 160
        colours = {colour for _, colour in png.convert("RGB").getcolors(1 << 20)}
    assert {(step, 100, 200) for step in range(4)} <= colours


def test_json_names_the_pictures(cli: Any, paintings: Path) -> None:
    content = json.loads(cli("replay", paintings, "--json", "--png", "a.png", "--gif", "a.gif").stdout)
    assert (content["png"], content["gif"]) == ("a.png", "a.gif")


def test_the_table_comes_before_the_picture(cli: Any, tmp_path: Path) -> None:
    cli("record", "CartPole-v1", "-o", "run.h5")
    result = cli("replay", "run.h5", "--gif", "run.gif")
    assert result.exit_code == 1
    assert result.stdout.startswith("episode 0: ")
    assert result.stderr.startswith("error: the recording has no frames, and no observations that are like pictures.")
    assert list(tmp_path.iterdir()) == [tmp_path / "run.h5"]


def test_a_picture_of_cameras_shows_them_all_or_those_that_are_named(cli: Any, tmp_path: Path) -> None:
    record_paintings(tmp_path / "run.h5", (5,), **FRAMES["cameras"])
    names = "(map/text, depth, front, wrist/rgb, wrist/depth)"
    result = cli("replay", "run.h5", "--gif", "run.gif", "--png", "run.png")
    assert result.stdout.endswith(f"wrote run.gif {names}\nwrote run.png {names}\n")
    content = json.loads(cli("replay", "run.h5", "--json", "--gif", "b.gif", "--camera", "front", "--scale", 1).stdout)
    assert (content["gif"], content["cameras"]) == ("b.gif", ["front"])
    with Image.open(tmp_path / "b.gif") as gif:
        frames = [np.asarray(each.convert("RGB")) for each in ImageSequence.Iterator(gif)]
    assert np.array_equal(frames, [expected_frame("rgb_array", step) for step in range(6)])


@pytest.mark.parametrize("mode", ["ansi", "depth_array"])
def test_pictures_of_text_and_depth_are_made(cli: Any, mode: str, tmp_path: Path) -> None:
    record_paintings(tmp_path / "run.h5", (5,), render_mode=mode)
    assert cli("replay", "run.h5", "--png", "run.png", "--gif", "run.gif").exit_code == 0
    with Image.open(tmp_path / "run.gif") as gif:
        assert gif.n_frames == 6


@pytest.mark.parametrize("option", ["--gif", "--png"])
def test_a_picture_is_replaced_only_if_asked_for(cli: Any, paintings: Path, tmp_path: Path, option: str) -> None:
    name = f"precious.{option[2:]}"
    (tmp_path / name).write_text("mine")
    result = cli("replay", paintings, option, name)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"error: {name} exists: choose another name, or replace it with --overwrite.\n"
    assert (tmp_path / name).read_text() == "mine"
    assert cli("replay", paintings, option, name, "--overwrite").exit_code == 0
    Image.open(io.BytesIO((tmp_path / name).read_bytes())).verify()


def test_a_picture_never_replaces_the_recording(cli: Any, tmp_path: Path) -> None:
    cli("record", "Painter-v0", "-o", "run.h5", "--frames", "render")
    before = (tmp_path / "run.h5").read_bytes()
    (tmp_path / "run.png").symlink_to("run.h5")
    for name, message in (("./run.h5", "ends with .png, got .h5"), ("run.png", "it is the recording itself")):
        result = cli("replay", "run.h5", "--png", name, "--overwrite")
        assert (result.exit_code, result.stdout) == (1, "")
        assert message in result.stderr
    assert (tmp_path / "run.h5").read_bytes() == before


def durations(path: Path) -> list[int]:
    """How long a GIF shows each frame, in milliseconds."""
    with Image.open(path) as gif:
        return [each.info["duration"] for each in ImageSequence.Iterator(gif)]
