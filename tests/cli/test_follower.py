"""Looking at a recording at intervals; ``commands/test_tail.py`` follows recordings that are being written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import gym_h5record as h5r
from gym_h5record.cli import follower
from gym_h5record.cli.follower import Follower, Speed
from gym_h5record.cli.follower_printers import Printer
from gym_h5record.cli.interrupts import Interrupts
from tests.writing import Pen, write_pairs


class Diary(Printer):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def start(self, recording: h5r.Recording) -> None:
        self.events.append("start")

    def episodes(self, episodes: Sequence[h5r.Episode]) -> None:
        self.events.append([episode.number for episode in episodes])

    def progress(self, recording: h5r.Recording, steps_per_second: float | None) -> None:
        self.events.append(steps_per_second)

    def end(self, reason: str, recording: h5r.Recording | None, message: str = "") -> None:
        self.events.append(reason)


def follow(path: Path, *, last: int = 10, follow: bool = True) -> list[Any]:
    diary = Diary()
    Follower(path, diary, Interrupts(), interval_s=1000, last=last).run(wait=False, follow=follow)
    return diary.events


@pytest.mark.parametrize(("last", "numbers"), [(0, []), (1, [1]), (10, [0, 1])])
def test_a_closed_recording_is_told_once(paintings: Path, last: int, numbers: list[int]) -> None:
    assert follow(paintings, last=last) == ["start", numbers, "complete"]


def test_one_look_at_a_live_recording_has_no_speed_and_no_end(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        pen.flush()
        assert follow(tmp_path / "run.h5", follow=False) == ["start", [0], None]


def test_a_recording_that_does_not_exist_is_an_error_unless_it_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(h5r.errors.RecordingNotFoundError):
        follow(tmp_path / "run.h5")


def test_the_speed_is_that_of_the_last_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = iter([100.0, 101.0, 105.0, 130.0, 131.0])
    monkeypatch.setattr(follower, "time", SimpleNamespace(monotonic=lambda: next(now_s)))
    speed = Speed()
    found = []
    for steps in (0, 10, 100, 100, 200):
        speed.add(steps)
        found.append(speed.steps_per_second)
    assert found == [None, 10.0, 20.0, 0.0, 100.0 / 26]
