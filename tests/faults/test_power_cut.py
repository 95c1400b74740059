"""Power cuts at random moments: a small sample of ``scripts/power_cut_test.py``, and its model of a disk."""

from __future__ import annotations

import mmap
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.crash.findings import Finding
from scripts.crash.inspection import inspect
from scripts.power_cut.history import KILLED, STYLES, History
from scripts.power_cut.scenes import Film, Life, film, film_repair, look, moments
from scripts.power_cut.tally import Tally, markdown
from scripts.power_cut.tape import Tape

pytestmark = [pytest.mark.compacted, pytest.mark.long]

LIFE = Life("Ragged", steps=45, flush_every=7)


class Inspector:
    """Runs the inspection in this process."""

    def inspect(self, path: Path, env: str, acknowledged: list[int], least: list[int] | None = None) -> Finding:
        return inspect(path, env, acknowledged, least)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """A recording with ``durability="power"``, from start to close."""
    return film(tmp_path_factory.mktemp("recorded") / "run.h5", LIFE)


def check(taken: Film, count: int, place: Path, *, start: float = 0.0, has_power: bool = False) -> Tally:
    """Fail unless all promised steps survive ``count`` power cuts; with ``has_power``, all returned steps kills."""
    chance, tally = random.Random(count), Tally("tried")
    for moment in moments(taken.history, count, chance, start):
        look(tally, taken, moment, chance, place, Inspector(), has_power=has_power)  # type: ignore[arg-type]
    assert tally.is_good, "\n".join([markdown([tally]), *tally.problems])
    assert tally.cuts == count
    return tally


def left_by_a_power_cut(taken: Film, place: Path) -> tuple[Path, list[tuple[int, int]]]:
    """The recording that a power cut in its middle leaves, and the steps of each life that must be in it."""
    moment = int(taken.history.now * 0.7)
    taken.history.survive(moment, random.Random(3), place)
    return place / "run.h5", taken.at(moment)


# Recordings --------------------------------------------------------------------------------------


def test_no_step_that_was_committed_is_lost_when_the_power_is_cut(recorded: Film, tmp_path: Path) -> None:
    tally = check(recorded, 8, tmp_path / "cut")
    assert tally.promised > 100


def test_no_step_is_lost_when_the_power_is_cut_during_close(recorded: Film, tmp_path: Path) -> None:
    check(recorded, 4, tmp_path / "cut", start=0.93)
    assert recorded.at(recorded.history.now) == [(LIFE.steps, LIFE.steps)]  # every step is promised in the end


def test_no_step_is_lost_when_the_power_is_cut_during_a_repair(recorded: Film, tmp_path: Path) -> None:
    path, steps = left_by_a_power_cut(recorded, tmp_path / "left")
    check(film_repair(path, LIFE.env, steps), 4, tmp_path / "cut")


def test_no_step_is_lost_when_the_power_is_cut_while_a_recording_is_appended_to(recorded: Film, tmp_path: Path) -> None:
    path, steps = left_by_a_power_cut(recorded, tmp_path / "left")
    check(film(path, Life("Ragged", 20, 7, number=1, mode="a"), steps), 4, tmp_path / "cut")


def test_no_step_of_a_lane_that_was_committed_is_lost_when_the_power_is_cut(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    tally = check(film(folder / "run.h5", Life("Lanes/DISABLED", 16, 5, ring_rows=8)), 5, tmp_path / "cut")
    assert tally.promised


def test_no_step_that_has_returned_is_lost_when_processes_are_killed(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    taken = film(tmp_path / "files" / "run.h5", Life("Ragged", steps=30, flush_every=7, outlived=False))
    check(taken, 5, tmp_path / "cut", has_power=True)


# The disk ----------------------------------------------------------------------------------------


def survivors(history: History, place: Path, moment: int | None = None) -> set[tuple[tuple[str, bytes], ...]]:
    """The folders that 120 power cuts at a moment, the last one by default, have left."""
    found, chance = set(), random.Random(0)
    for number in range(120):
        folder = place / str(number)
        history.survive(history.now if moment is None else moment, chance, folder)
        found.add(tuple(sorted((each.name, each.read_bytes()) for each in folder.iterdir())))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def run(folder: Path, *operations: Callable[[int], object]) -> History:
    """Run operations on a file of two pages of "a", which is on the disk; the history of the folder."""
    (folder / "x").write_bytes(b"a" * 8192)
    with Tape(folder) as tape:
        descriptor = os.open(folder / "x", os.O_RDWR)
        for operation in operations:
            operation(descriptor)
        os.close(descriptor)
    return tape.history


def both_pages(descriptor: int) -> None:
    os.pwrite(descriptor, b"b" * 8192, 0)


def sync_data(descriptor: int) -> None:
    os.fdatasync(descriptor)


def test_synced_data_survives(folder: Path, tmp_path: Path) -> None:
    history = run(folder, both_pages, sync_data)
    assert survivors(history, tmp_path) == {(("x", b"b" * 8192),)}


def test_each_unsynced_page_or_sector_survives_or_not_independently(folder: Path, tmp_path: Path) -> None:
    contents = [dict(each)["x"] for each in survivors(run(folder, both_pages), tmp_path)]
    pages = {b"a" * 8192, b"b" * 8192, b"a" * 4096 + b"b" * 4096, b"b" * 4096 + b"a" * 4096}
    assert pages < {*contents}
    torn = [content for content in contents if content not in pages]
    assert torn
    assert all(len({*content[at : at + 512]}) == 1 for content in torn for at in range(0, 8192, 512))


def test_any_version_since_the_last_sync_may_survive(folder: Path, tmp_path: Path) -> None:
    writes = [lambda descriptor, byte=byte: os.pwrite(descriptor, byte * 10, 0) for byte in (b"b", b"c", b"d")]
    history = run(folder, writes[0], sync_data, *writes[1:])
    assert {dict(each)["x"][:1] for each in survivors(history, tmp_path)} == {b"b", b"c", b"d"}


def test_an_unsynced_file_may_have_any_size_since_the_last_sync(folder: Path, tmp_path: Path) -> None:
    history = run(folder, lambda descriptor: os.pwrite(descriptor, b"b" * 4096, 8192))
    sizes = {len(dict(each)["x"]) for each in survivors(history, tmp_path)}
    assert {8192, 12288} < sizes  # and some between them
    assert min(sizes) == 8192


def test_a_name_survives_once_its_folder_is_synced(folder: Path, tmp_path: Path) -> None:
    def create(_: int) -> None:
        os.close(os.open(folder / "y", os.O_RDWR | os.O_CREAT))
        (folder / "x").unlink()

    def sync(_: int) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    names = {tuple(dict(each)) for each in survivors(run(folder, create), tmp_path)}
    assert names == {(), ("x",), ("y",), ("x", "y")}
    (folder / "y").unlink()
    (tmp_path / "synced").mkdir()
    names = {tuple(dict(each)) for each in survivors(run(folder, create, sync), tmp_path / "synced")}
    assert names == {("y",)}


def test_the_synced_part_of_a_mapped_file_survives(folder: Path, tmp_path: Path) -> None:
    def store(descriptor: int) -> None:
        mapped = mmap.mmap(descriptor, 8192)
        mapped[:] = b"b" * 8192
        mapped.flush(0, 4096)
        mapped.close()

    contents = [dict(each)["x"] for each in survivors(run(folder, store), tmp_path)]
    assert {content[:4096] for content in contents} == {b"b" * 4096}
    assert {content[4096:] for content in contents} > {b"a" * 4096, b"b" * 4096}


def test_a_sync_that_is_cut_short_counts_for_nothing(folder: Path, tmp_path: Path) -> None:
    history = run(folder, both_pages, sync_data)
    begins = history.kinds.index("fdatasync begins")
    assert len(survivors(history, tmp_path, begins)) > 2


def test_all_writes_survive_a_kill(folder: Path, tmp_path: Path) -> None:
    history = run(folder, both_pages)
    for number in range(20):
        history.survive(history.now, random.Random(number), tmp_path / str(number), KILLED)
        assert (tmp_path / str(number) / "x").read_bytes() == b"b" * 8192
    assert set(KILLED) < set(STYLES)
