"""What is printed about a recording that is followed, for each kind of console."""

from __future__ import annotations

import io
import json
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

import gym_h5record as h5r
from gym_h5record.cli.follower_printers import Printer, make_printer
from tests.lane_recordings import record_lanes
from tests.treasures import RETURNS


def printed(capsys: pytest.CaptureFixture[str], printer: Printer, path: Path) -> str:
    """All events of a recording, as one printer prints them."""
    with closing(printer), h5r.Recording(path) as recording:
        printer.wait(path)
        printer.start(recording)
        printer.episodes(recording.episodes)
        printer.progress(recording, 12.3456)
        printer.end("stopped", recording)
        printer.end("error", None, "no such file")
    return capsys.readouterr().out


def test_in_a_pipe_events_are_lines(capsys: pytest.CaptureFixture[str], paintings: Path) -> None:
    printer = make_printer(Console(file=io.StringIO()), 1, as_json=False)
    assert printed(capsys, printer, paintings).splitlines() == [
        f"waiting for {paintings}",
        "... 1 more episode",
        "episode 1: 3 steps, return 3, terminated",
        "10 steps, 2 episodes, 12 steps/s",
        f"stopped: {paintings}: 2 episodes, 10 steps",
    ]


def test_json_has_an_object_for_each_event(capsys: pytest.CaptureFixture[str], paintings: Path) -> None:
    printer = make_printer(Console(file=io.StringIO(), force_terminal=True), 1, as_json=True)
    events = [json.loads(line) for line in printed(capsys, printer, paintings).splitlines()]
    assert [event["event"] for event in events] == ["start", "episode", "episode", "progress", "end", "end"]
    assert events[3] == {"event": "progress", "steps": 10, "episodes": 2, "steps_per_second": 12.346}
    assert events[5] == {"event": "end", "reason": "error", "message": "no such file"}


def test_a_terminal_gets_the_cursor_back_after_an_error(paintings: Path) -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80)
    with pytest.raises(ZeroDivisionError), closing(make_printer(console, 1, as_json=False)) as printer:
        with h5r.Recording(paintings) as recording:
            printer.progress(recording, None)
        raise ZeroDivisionError
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("10 steps, 2 episodes")


def test_returns_that_are_arrays_are_shown(capsys: pytest.CaptureFixture[str], treasures: Path) -> None:
    printer = make_printer(Console(file=io.StringIO()), 1, as_json=False)
    with closing(printer), h5r.Recording(treasures) as recording:
        printer.episodes(recording.episodes)
        printer.end("complete", recording)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "episode 2: 5 steps, return [9.5, -0.5], terminated"
    assert "(1 incomplete), 13 steps, mean return [9.5, -0.5] without 1 incomplete, " in lines[2]


def test_returns_that_are_arrays_are_lists_in_json(capsys: pytest.CaptureFixture[str], treasures: Path) -> None:
    printer = make_printer(Console(file=io.StringIO()), 1, as_json=True)
    with closing(printer), h5r.Recording(treasures) as recording:
        printer.episodes(recording.episodes)
        printer.end("complete", recording)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["return"] for event in events[:3]] == [pytest.approx(each) for each in RETURNS]
    assert events[3]["mean_return"] == pytest.approx([9.5, -0.5])
    assert events[3]["incomplete_episodes"] == 1


def test_episodes_of_lanes_are_told_with_their_lane(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = record_lanes(tmp_path / "run.h5", lengths=((2,), (3,)), num_steps=3)
    lines = printed(capsys, make_printer(Console(file=io.StringIO()), 9, as_json=False), path).splitlines()
    assert [line.partition(":")[0] for line in lines[1:4]] == [
        "episode 0, lane 0",
        "episode 1, lane 1",
        "episode 2, lane 0",
    ]
    events = printed(capsys, make_printer(Console(file=io.StringIO()), 9, as_json=True), path).splitlines()
    assert [json.loads(line)["env"] for line in events if '"episode"' in line] == [0, 1, 0]
