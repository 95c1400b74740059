"""``gym-h5record tail``: a recording is followed until it ends, and nothing is shown twice or left out."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import gym_h5record as h5r
from gym_h5record.cli.commands import tail
from tests.writing import Pen, elsewhere, pair, wait_until, write_pairs

pytestmark = pytest.mark.timeout(30)

Cli = Callable[..., Any]


def events(stdout: str) -> list[dict[str, Any]]:
    """What ``--json`` has printed."""
    return [json.loads(line) for line in stdout.splitlines()]


def of_kind(kind: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in found if event["event"] == kind]


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Do something else at the same time."""
    failures: list[Exception] = []

    def run() -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001  # any error makes the test fail
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert failures == []


class Looks:
    """Waits for looks of the command that runs in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        refresh = h5r.Recording.refresh

        def counted(recording: h5r.Recording) -> bool:
            is_live = refresh(recording)
            self.count += 1
            return is_live

        monkeypatch.setattr(h5r.Recording, "refresh", counted)

    def wait(self, number: int = 2) -> None:
        """Return after so many looks that have begun after this call, and one more."""
        before = self.count
        wait_until(lambda: self.count > before + number)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(monkeypatch)


# What has been closed -----------------------------------------------------------------------------


def test_of_a_closed_recording_the_last_episodes_are_shown(cli: Cli, paintings: Path) -> None:
    result = cli("tail", paintings)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[:-1] == [
        "episode 0: 7 steps, return 14, terminated",
        "episode 1: 3 steps, return 3, terminated",
    ]
    end = result.stdout.splitlines()[-1]
    assert end.startswith(f"complete: {paintings}: 2 episodes, 10 steps, mean return 8.5, ")


@pytest.mark.parametrize(("last", "shown"), [(0, []), (1, ["1"]), (2, ["0", "1"]), (100, ["0", "1"])])
def test_as_many_episodes_are_shown_as_one_likes(cli: Cli, paintings: Path, last: int, shown: list[str]) -> None:
    lines = cli("tail", paintings, "--last", last).stdout.splitlines()
    assert [line.split(":")[0].split()[1] for line in lines[:-1]] == shown


def test_incomplete_episodes_are_said_to_be(cli: Cli, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        pen.begin(pair(4))
    lines = cli("tail", "run.h5").stdout.splitlines()
    assert lines[1] == "episode 1: 0 steps, return 0, incomplete"
    assert "2 episodes (1 incomplete), 3 steps, " in lines[2]


def test_json_has_an_object_per_line(cli: Cli, paintings: Path) -> None:
    assert events(cli("tail", paintings, "--json", "--last", 1).stdout) == [
        {"event": "start", "path": str(paintings), "live": False, "steps": 10, "episodes": 2},
        {
            "event": "episode",
            "episode": 1,
            "length": 3,
            "return": 3.0,
            "terminated": True,
            "truncated": False,
            "complete": True,
        },
        {
            "event": "end",
            "reason": "complete",
            "path": str(paintings),
            "steps": 10,
            "episodes": 2,
            "incomplete_episodes": 0,
            "mean_return": 8.5,
            "bytes": paintings.stat().st_size,
        },
    ]


def test_a_return_that_is_no_number_is_null(cli: Cli, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        pen.begin(pair(0))
        pen.step(pair(1), reward=float("nan"), terminated=True)
    _, episode, end = events(cli("tail", "run.h5", "--json").stdout)
    assert episode["return"] is end["mean_return"] is None
    assert "return nan" in cli("tail", "run.h5").stdout


def test_an_empty_recording_has_no_mean(cli: Cli, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5"):
        pass
    assert "complete: " in cli("tail", "run.h5").stdout
    assert events(cli("tail", "run.h5", "--json").stdout)[-1]["mean_return"] is None


def test_the_name_of_the_file_neither_drives_the_terminal_nor_is_markup(
    cli: Cli, tmp_path: Path, paintings: Path
) -> None:
    shutil.copy(paintings, tmp_path / "a[red]\x1b[31m.h5")
    result = cli("tail", "a[red]\x1b[31m.h5")
    assert result.exit_code == 0
    assert r"a[red]\x1b[31m.h5" in result.stdout
    assert "\x1b" not in result.stdout
    assert "\x1b" not in cli("tail", "b[red]\x1b[31m.h5").stderr


# What is being recorded ---------------------------------------------------------------------------


def test_every_episode_is_shown_once_and_the_end_ends_it(cli: Cli, tmp_path: Path, looks: Looks) -> None:
    pen = Pen(tmp_path / "run.h5")
    write_pairs(pen, [1] * 15)
    pen.flush()

    def go_on() -> None:
        for number in range(4):
            looks.wait()
            write_pairs(pen, [2, 3], first_row=30 + 7 * number)
            pen.flush()
        looks.wait()
        pen.begin(pair(58))
        pen.close()

    with meanwhile(go_on):
        result = cli("tail", "run.h5", "--json", "--interval", 0.01, "--last", 3)
    assert (result.exit_code, result.stderr) == (0, "")
    found = events(result.stdout)
    assert found[0] == {
        "event": "start", "path": str(tmp_path / "run.h5"), "live": True, "steps": 15, "episodes": 15
    }  # fmt: skip
    assert [event["episode"] for event in of_kind("episode", found)] == [*range(12, 24)]
    assert [event["length"] for event in of_kind("episode", found)] == [1, 1, 1, *[2, 3] * 4, 0]
    assert [event["complete"] for event in of_kind("episode", found)] == [True] * 11 + [False]
    progress = of_kind("progress", found)
    steps = [event["steps"] for event in progress]
    assert steps == sorted(steps)
    assert {15, 20, 25, 30, 35} == set(steps)
    assert progress[0]["steps_per_second"] is None
    assert all(event["steps_per_second"] >= 0 for event in progress[1:])
    assert {**found[-1], "bytes": 0, "mean_return": 0} == {
        "event": "end",
        "reason": "complete",
        "path": str(tmp_path / "run.h5"),
        "steps": 35,
        "episodes": 24,
        "incomplete_episodes": 1,
        "mean_return": 0,
        "bytes": 0,
    }


def test_in_a_pipe_there_are_plain_lines_and_only_where_something_has_changed(
    cli: Cli, tmp_path: Path, looks: Looks
) -> None:
    pen = Pen(tmp_path / "run.h5")
    write_pairs(pen, [3])
    pen.flush()

    def go_on() -> None:
        looks.wait(5)
        write_pairs(pen, [1] * 12, first_row=4)
        pen.close()

    with meanwhile(go_on):
        lines = cli("tail", "run.h5", "--interval", 0.01, "--last", 2).stdout.splitlines()
    assert [line for line in lines[:-1] if "steps/s" not in line] == [
        "episode 0: 3 steps, return 3, terminated",
        "3 steps, 1 episode",
        "... 10 more episodes",
        "episode 11: 1 step, return 24, terminated",
        "episode 12: 1 step, return 26, terminated",
    ]
    assert len(lines) <= 7  # the last commit may be seen before the file is closed
    assert "\x1b" not in "".join(lines)


def test_on_a_terminal_the_line_of_progress_stays_in_its_place(
    cli: Cli, tmp_path: Path, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(tail, "make_console", lambda: Console(file=stream, force_terminal=True, width=80))
    pen = Pen(tmp_path / "run.h5")
    write_pairs(pen, [3])
    pen.flush()

    def go_on() -> None:
        looks.wait()
        pen.close()

    with meanwhile(go_on):
        assert cli("tail", "run.h5", "--interval", 0.01).exit_code == 0
    drawn = stream.getvalue()
    assert "episode 0: 3 steps, return 3, terminated\n" in drawn
    assert "3 steps, 1 episode, 0 steps/s" in drawn
    assert drawn.count("steps/s\n") == 1  # before it is wiped out
    assert "\x1b[?25h" in drawn[drawn.rindex("steps/s") : drawn.index("complete: ")]  # the cursor is given back


def test_a_look_is_enough_if_one_likes(cli: Cli, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        pen.flush()
        result = cli("tail", "run.h5", "--no-follow", "--interval", 1000)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == "episode 0: 3 steps, return 3, terminated\n3 steps, 1 episode\n"
        kinds = [event["event"] for event in events(cli("tail", "run.h5", "--no-follow", "--json").stdout)]
        assert kinds == ["start", "episode", "progress"]


# Before the beginning -----------------------------------------------------------------------------


def test_without_any_sign_of_a_recording_it_is_an_error(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "run.h5.lock").touch()  # left by a process that is gone
    result = cli("tail", "run.h5")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"error: there is no recording at {tmp_path / 'run.h5'}. To wait until a recorder makes it, add --wait.\n"
    )
    assert events(cli("tail", "run.h5", "--json").stdout) == [
        {"event": "end", "reason": "error", "message": f"there is no recording at {tmp_path / 'run.h5'}."}
    ]


@pytest.mark.parametrize("wait", [False, True])
def test_a_recording_that_has_hardly_begun_is_waited_for(wait: bool, cli: Cli, tmp_path: Path, looks: Looks) -> None:
    pens: list[Pen] = []

    def begin() -> None:
        pens.append(Pen(tmp_path / "run.h5"))  # there are a lock and a journal, but no file before the first commit

    def go_on() -> None:
        if wait:
            time.sleep(0.15)
            begin()
        time.sleep(0.15)
        write_pairs(pens[0], [3])
        pens[0].flush()
        looks.wait()
        pens[0].close()

    if not wait:
        begin()
        assert not (tmp_path / "run.h5").exists()
    with meanwhile(go_on):
        result = cli("tail", "run.h5", "--interval", 0.01, *["--wait"] * wait)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"waiting for {tmp_path / 'run.h5'}"
    assert "episode 0: 3 steps, return 3, terminated" in lines[1:3]  # the file is there a moment before its rows
    assert lines[-1].startswith("complete: ")


def test_a_recording_that_begins_and_ends_without_a_step_is_not_waited_for_in_vain(cli: Cli, tmp_path: Path) -> None:
    pen = Pen(tmp_path / "run.h5")

    def vanish() -> None:
        time.sleep(0.15)
        pen.session.journal.path.unlink()
        pen.session._lock.release()

    with meanwhile(vanish):
        result = cli("tail", "run.h5")
    assert result.exit_code == 1
    assert "there is no recording at" in result.stderr


def test_a_recording_that_takes_the_place_of_another_is_followed_from_its_start(
    cli: Cli, tmp_path: Path, looks: Looks, paintings: Path
) -> None:
    shutil.copy(paintings, tmp_path / "run.h5")
    pen = Pen(tmp_path / "run.h5", mode="w")

    def go_on() -> None:
        looks.wait()
        write_pairs(pen, [1, 1, 1])
        pen.flush()
        looks.wait()
        pen.close()

    with meanwhile(go_on):
        result = cli("tail", "run.h5", "--interval", 0.01, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = events(result.stdout)
    assert [event["episodes"] for event in of_kind("start", found)] in ([2, 0], [2, 3])
    assert [event["episode"] for event in of_kind("episode", found)] == [0, 1, 0, 1, 2]
    assert found[-1]["steps"] == 3


# Other ends ---------------------------------------------------------------------------------------


def test_an_interrupted_recording_is_1_with_the_command_that_repairs_it(cli: Cli, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        pen.flush()
        copy = elsewhere(tmp_path / "run.h5")
    result = cli("tail", copy)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"gym-h5record repair {copy}" in result.stderr
    assert result.stderr.startswith("error: ")
    (end,) = events(cli("tail", copy, "--json").stdout)
    assert (end["event"], end["reason"]) == ("end", "interrupted")
    assert f"gym-h5record repair {copy}" in end["message"]


def test_a_recording_that_is_interrupted_meanwhile_is_1_too(cli: Cli, tmp_path: Path, looks: Looks) -> None:
    pen = Pen(tmp_path / "run.h5")
    write_pairs(pen, [3])
    pen.flush()

    def die() -> None:
        looks.wait()
        pen.session._lock.forget()  # as the kernel does when a process is killed

    with meanwhile(die):
        result = cli("tail", "run.h5", "--interval", 0.01)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "episode 0: 3 steps, return 3, terminated",
        "3 steps, 1 episode",
        f"interrupted: {tmp_path / 'run.h5'}: 1 episode, 3 steps",
    ]
    assert f"gym-h5record repair {tmp_path / 'run.h5'}" in result.stderr


def test_what_is_no_recording_is_one_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_bytes(b"no HDF5")
    result = cli("tail", "text.h5", "--wait")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"error: {tmp_path / 'text.h5'} is not an HDF5 file.\n"


@pytest.mark.parametrize("waiting", [False, True])
def test_ctrl_c_ends_the_following_at_once_with_3(waiting: bool, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        if not waiting:
            write_pairs(pen, [3])
            pen.flush()
        process = subprocess.Popen(
            [sys.executable, "-m", "gym_h5record", "tail", "run.h5", "--interval", "1000"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(1 if waiting else 2)]
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (3, "interrupted\n")
        if waiting:
            assert (lines, output) == ([f"waiting for {tmp_path / 'run.h5'}\n"], "")
        else:
            assert lines == ["episode 0: 3 steps, return 3, terminated\n", "3 steps, 1 episode\n"]
            assert output == f"stopped: {tmp_path / 'run.h5'}: 1 episode, 3 steps\n"


def test_wrong_usage_is_2(cli: Cli) -> None:
    assert cli("tail").exit_code == 2
    assert cli("tail", "run.h5", "--interval", 0).exit_code == 2
    assert cli("tail", "run.h5", "--last", -1).exit_code == 2
