"""``salvage``: everything readable of a damaged recording, exactly, and nothing made up."""

from __future__ import annotations

import copy
import signal
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import (
    CorruptRecordingError,
    InterruptedRecordingError,
    NotARecordingError,
    RecordingExistsError,
    RecordingPathError,
    WriterError,
)
from gym_h5record.format import names as fmt
from gym_h5record.format.names import Origin
from gym_h5record.maintenance.repairs.damaged_recording import DamagedRecording
from gym_h5record.maintenance.repairs.salvaging import Salvaged, check_can_be_made, salvage
from gym_h5record.storage.column_writer import ColumnWriter
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.writing import journal
from gym_h5record.writing.session import Session
from tests.leftovers import closed, contents, edited, left_open, pictures, set_item, shorter, unreadable_chunk
from tests.paintings import FRAMES, every_kind_of_frames, record_paintings
from tests.reading import damage_chunk, record
from tests.stacking import MOVES, START, StackingEnv, check_stacks, record_stacks
from tests.treasures import extras, record_treasures, without_extras
from tests.writing import MODEST_BYTES, Pen, check_pairs, everything_env, make_schema, pair, run_script, write_pairs
from tests.zoo import SPACES, ZooEnv, check_identical, check_recorded, passing_infos

pytestmark = pytest.mark.timeout(60)

COLUMNS = ("observations", "frames", "infos", "times", "actions", "rewards", "terminations", "truncations", "extras")


@pytest.fixture(autouse=True)
def modest_journals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_MAX_BYTES", MODEST_BYTES)


def check_equal(first: Path, second: Path) -> None:
    """Fail unless two recordings have the same episodes, to the bit and the type."""
    with h5r.Recording(first) as one, h5r.Recording(second) as other:
        assert one.num_episodes == other.num_episodes
        assert one.metadata.keys() == other.metadata.keys()
        for name in one.metadata.keys() - {"journal_id"}:
            check_identical(other.metadata[name], one.metadata[name], name)
        check_identical(other.fps, one.fps, "fps")
        for number, (episode, twin) in enumerate(zip(one.episodes, other.episodes, strict=True)):
            for name in (
                *("length", "seed", "options", "origin", "episode_id", "complete"),
                *("terminated", "truncated", "total_reward"),
            ):
                check_identical(getattr(twin, name), getattr(episode, name), f"{name} of episode {number}")
            for name in COLUMNS:
                found, expected = getattr(twin, name), getattr(episode, name)
                assert (found is None) == (expected is None)
                for at in range(0 if expected is None else len(expected)):
                    check_identical(found[at], expected[at], f"{name}[{at}] of episode {number}")


def episodes_of(path: Path) -> list[tuple[list[int], bool, Origin]]:
    """The episodes of a recording that knows its rows: which they are, whether they are complete, their origin."""

    def number(observation: np.ndarray) -> int:
        return int(observation.flat[0])

    with h5r.Recording(path) as recording:
        return [
            ([number(each.observations[at]) for at in range(each.length + 1)], each.complete, each.origin)
            for each in recording.episodes
        ]


def errors(path: Path) -> list[h5r.Problem]:
    """What is wrong with a recording, but for metadata that a ``Pen`` does not write."""
    found = [each for each in h5r.validate(path, deep=True) if each.severity is h5r.Severity.ERROR]
    return [each for each in found if not each.code.startswith("metadata")]


# Exactness -------------------------------------------------------------------------------------------


GROUPS = [SPACES[start : start + 18] for start in range(0, len(SPACES), 18)]
"""Of all spaces: those of a group are recorded together."""


@pytest.mark.sampled(2)
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: f"{group[0][0]}-to-{group[-1][0]}")
def test_a_recording_that_is_not_damaged_comes_out_as_it_was(
    group: list[tuple[str, gym.Space[Any]]], tmp_path: Path
) -> None:
    space = spaces.Tuple([copy.deepcopy(each) for _, each in group])
    played = record(tmp_path / "run.h5", ZooEnv(space, length=4), [4, 2, 0])
    found = salvage(tmp_path / "run.h5", tmp_path / "saved.h5")
    assert (found.rows, found.episodes, found.whole_episodes) == (9, 3, 3)
    assert (found.committed_rows, found.committed_episodes) == (9, 3)
    with h5r.Recording(tmp_path / "saved.h5") as recording:
        check_recorded(recording, played)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["run.h5", "saved.h5"]


def test_episodes_of_everything_come_out_as_they_were(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", everything_env(length=30), [30, 9, 0, 30])
    salvage(tmp_path / "run.h5", tmp_path / "saved.h5")
    check_equal(tmp_path / "run.h5", tmp_path / "saved.h5")


class Filmed(ZooEnv):
    """With pictures of its own."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 12.5}  # noqa: RUF012  # as Gymnasium has it
    render_mode = "rgb_array"
    _pictures = 0

    def render(self) -> np.ndarray:  # type: ignore[override]
        self._pictures += 1
        return np.full((8, 9, 3), self._pictures, np.uint8)


@pytest.mark.sampled(5)
@every_kind_of_frames
def test_frames_of_every_kind_come_out_as_they_were(kind: str, tmp_path: Path) -> None:
    path = record_paintings(tmp_path / "run.h5", (4, 3), **FRAMES[kind])
    salvage(path, tmp_path / "saved.h5")
    check_equal(path, tmp_path / "saved.h5")
    assert h5r.diff(path, tmp_path / "saved.h5").ok


@pytest.mark.parametrize("options", [{}, {"times": False}, {"dtype": np.float32}])
def test_extras_times_and_arrays_of_rewards_come_out_as_they_were(options: Any, tmp_path: Path) -> None:
    path = record_treasures(tmp_path / "run.h5", **options)
    salvage(path, tmp_path / "saved.h5")
    check_equal(path, tmp_path / "saved.h5")
    assert h5r.diff(path, tmp_path / "saved.h5").ok
    assert h5r.validate(tmp_path / "saved.h5", deep=True) == []


def test_rows_around_a_lost_one_keep_their_extras_and_times(tmp_path: Path) -> None:
    path = edited(record_treasures(tmp_path / "run.h5"), set_item(f"{fmt.EXTRAS_JSON}/{fmt.VALUES}", 0, ord("!")))
    found = salvage(path, tmp_path / "saved.h5")
    assert (found.rows, found.episodes, found.whole_episodes) == (15, 4, 2)
    with h5r.Recording(path) as recording, h5r.Recording(tmp_path / "saved.h5") as saved:
        assert saved.rows.times is not None
        assert recording.rows.times is not None
        check_identical(saved.rows.times, np.delete(recording.rows.times, 1), "times")
        kept = [saved.episodes[1].extras[step] for step in range(3)]  # type: ignore[index]
        check_identical(kept, [extras(step) for step in (2, 3, 4)], "extras behind the lost row")
        assert saved.metadata["created_at"] == recording.metadata["created_at"]


def test_times_that_make_no_sense_come_out_as_they_were(tmp_path: Path) -> None:
    limits = np.iinfo(np.int64)
    path = edited(record_treasures(tmp_path / "run.h5"), set_item(fmt.TIMES, slice(2, 4), [limits.min, limits.max]))
    salvage(path, tmp_path / "saved.h5")
    with h5py.File(path) as file, h5py.File(tmp_path / "saved.h5") as saved:
        check_identical(saved[fmt.TIMES][:], file[fmt.TIMES][:16], "times")


def test_a_recording_without_extras_stays_without(tmp_path: Path) -> None:
    path = without_extras(record_treasures(tmp_path / "run.h5"))
    salvage(path, tmp_path / "saved.h5")
    check_equal(path, tmp_path / "saved.h5")
    with h5r.Recording(tmp_path / "saved.h5") as saved:
        assert saved.rows.extras is None


def test_frames_origins_seeds_and_metadata_come_out_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    env: Any = h5r.RecordToHDF5(
        Filmed(spaces.Discrete(3), length=5),
        path,
        writer="inline",
        frames="render",
        metadata={"agent_id": "me", "note": (1, {2: float("nan")})},
    )
    env.reset(seed=2**70, options={"a": np.arange(3)})
    for _ in range(7):  # on after the end
        env.step(0)
    env.reset(seed=3)
    env.close()
    with h5r.Recording(path) as recording:
        assert {each.origin for each in recording.episodes} >= {Origin.RESET, Origin.AFTER_DONE}
    salvage(path, tmp_path / "saved.h5")
    check_equal(path, tmp_path / "saved.h5")
    with h5r.Recording(path) as recording, h5r.Recording(tmp_path / "saved.h5") as saved:
        assert recording.episodes[0].snapshot
        assert [each.snapshot for each in saved.episodes] == [each.snapshot for each in recording.episodes]


@pytest.mark.parametrize("options", [{"compression": "lz4"}, {"compression": None}, {"checksum": True}], ids=str)
def test_it_is_stored_as_it_was(options: dict[str, Any], tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(spaces.Box(0, 255, (40, 30), np.uint8), length=20), **options)
    salvage(tmp_path / "run.h5", tmp_path / "saved.h5")
    with h5py.File(tmp_path / "run.h5") as first, h5py.File(tmp_path / "saved.h5") as second:
        for name in ("observations", "actions"):
            one, other = (file[name].id.get_create_plist() for file in (first, second))
            assert one.get_nfilters() == other.get_nfilters()
            assert one.get_chunk() == other.get_chunk()
            assert not one.get_nfilters() or one.get_filter(0) == other.get_filter(0)
        assert (fmt.CHECKSUMS in first) == (fmt.CHECKSUMS in second) == bool(options.get("checksum"))
        assert first["metadata"].attrs["journal_id"] != second["metadata"].attrs["journal_id"]
    assert h5r.validate(tmp_path / "saved.h5", deep=True) == h5r.validate(tmp_path / "run.h5", deep=True)


def test_it_can_be_replayed_and_appended_to(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(spaces.Discrete(5), length=5), [5, 2])
    salvage(tmp_path / "run.h5", tmp_path / "saved.h5")
    record(tmp_path / "saved.h5", ZooEnv(spaces.Discrete(5), length=5), [5], mode="a")
    assert h5r.Recording(tmp_path / "saved.h5").num_episodes == 3
    env = h5r.ReplayFromHDF5(tmp_path / "saved.h5")
    env.reset()
    assert [h5r.Recording(tmp_path / "run.h5").episodes[0].observations[1]] == [
        env.step(h5r.Recording(tmp_path / "run.h5").episodes[0].actions[0])[0]
    ]


def test_an_interrupted_recording_is_saved_up_to_its_last_commit(tmp_path: Path) -> None:
    path = left_open(tmp_path, is_committed=True)
    before = contents(path.parent)
    found = salvage(path, tmp_path / "saved.h5")
    assert contents(path.parent) == before
    assert (found.rows, found.episodes, found.committed_rows, found.committed_episodes) == (7, 2, 7, 1)
    assert episodes_of(tmp_path / "saved.h5") == [([0, 1, 2, 3], True, Origin.RESET), ([4, 5, 6], False, Origin.RESET)]


def test_warnings_of_the_recorder_are_not_said_again(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(spaces.Discrete(3), infos=passing_infos, rewards=["odd"]), [3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        salvage(tmp_path / "run.h5", tmp_path / "saved.h5")
    assert h5r.Recording(tmp_path / "saved.h5").num_steps == 3


# Damage ----------------------------------------------------------------------------------------------

WHOLE = [(list(range(41)), True, Origin.RESET), (list(range(41, 62)), True, Origin.RESET)]


def test_pieces_of_an_episode_are_incomplete_and_begin_in_the_middle(tmp_path: Path) -> None:
    path = unreadable_chunk(pictures(tmp_path))
    before = contents(tmp_path)
    found = salvage(path, tmp_path / "saved.h5")
    assert contents(tmp_path)["run.h5"] == before["run.h5"]
    assert episodes_of(tmp_path / "saved.h5") == [
        (list(range(16)), False, Origin.RESET),
        (list(range(32, 41)), True, Origin.STEP_TRIGGER),  # this is how it ended
        WHOLE[1],
    ]
    assert (found.rows, found.episodes, found.whole_episodes) == (46, 3, 1)
    assert (found.committed_rows, found.committed_episodes) == (62, 2)
    with h5r.Recording(tmp_path / "saved.h5") as recording, h5r.Recording(path) as damaged:
        first, middle, last = recording.episodes
        assert (first.seed, first.options, first.length) == (0, {"row": 0}, 15)
        assert (middle.seed, middle.options, middle.length) == (None, None, 8)
        assert (last.seed, last.options) == (41, {"row": 41})
        assert list(first.rewards) == list(damaged.episodes[0].rewards)[:15]
        assert list(middle.actions) == [row % 4 for row in range(33, 41)]
        assert middle.infos[0] == {"row": 32, "name": "row 32"}
        assert first.total_reward == sum(range(1, 16))
    assert errors(tmp_path / "saved.h5") == []


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        (0, [(list(range(16, 41)), True, Origin.STEP_TRIGGER), WHOLE[1]]),
        (
            2,  # across two episodes
            [(list(range(32)), False, Origin.RESET), (list(range(48, 62)), True, Origin.STEP_TRIGGER)],
        ),
        (3, [WHOLE[0], (list(range(41, 48)), False, Origin.RESET)]),
    ],
)
def test_a_piece_ends_where_a_row_is_missing(chunk: int, expected: list[Any], tmp_path: Path) -> None:
    salvage(unreadable_chunk(pictures(tmp_path), chunk=chunk), tmp_path / "saved.h5")
    assert episodes_of(tmp_path / "saved.h5") == expected


def damage(change: Callable[[h5py.File], object]) -> Callable[[Path], Path]:
    return lambda folder: edited(pictures(folder), change)


def spoil_text(name: str, row: int, text: bytes) -> Callable[[h5py.File], object]:
    """Write over the text of a row."""

    def change(file: h5py.File) -> None:
        start = int(file[f"{name}/ends"][row - 1]) if row else 0
        file[f"{name}/values"][start : start + len(text)] = np.frombuffer(text, np.uint8)

    return change


PARTS = [(list(range(20)), False, Origin.RESET), (list(range(21, 41)), True, Origin.STEP_TRIGGER), WHOLE[1]]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (damage(spoil_text(fmt.INFOS_JSON, 20, b"{{{{")), PARTS),
        (damage(spoil_text(fmt.INFOS_JSON, 20, b'{"$array":[0]')), PARTS),
        (damage(set_item(fmt.TYPES, 20, 99)), PARTS),
        (
            damage(set_item(f"{fmt.INFOS_JSON}/ends", 20, 1 << 40)),
            [PARTS[0], (list(range(22, 41)), *PARTS[1][1:]), WHOLE[1]],
        ),
        (
            damage(shorter(fmt.REWARDS, 50)),
            [WHOLE[0], (list(range(41, 50)), False, Origin.RESET), ([61], False, Origin.STEP_TRIGGER)],
        ),
        (damage(shorter(fmt.TYPES, 50)), [WHOLE[0], (list(range(41, 50)), False, Origin.RESET)]),
        (damage(shorter(fmt.DONES, 5)), WHOLE),  # they are in the two flags as well
    ],
    ids=["info-no-json", "info-no-tagged-json", "types", "info-ends", "rewards", "types-short", "dones"],
)
def test_a_row_is_lost_if_any_part_of_it_is(make: Callable[[Path], Path], expected: list[Any], tmp_path: Path) -> None:
    found = salvage(make(tmp_path), tmp_path / "saved.h5")
    assert episodes_of(tmp_path / "saved.h5") == expected
    assert found.rows == sum(len(rows) for rows, _, _ in expected)
    assert errors(tmp_path / "saved.h5") == []


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.__delitem__("episodes/starts"),
        lambda file: file.__delitem__("episodes"),
        shorter("episodes/lengths", 0),
        set_item("episodes/starts", 0, 7),
        set_item("episodes/lengths", 0, 1 << 40),
        set_item("episodes/lengths", 0, -1),
        set_item(fmt.COMMIT, 1, 0),
        set_item(fmt.COMMIT, 0, 1 << 50),
        set_item(fmt.COMMIT, 1, 1 << 50),
        lambda file: file.__delitem__(fmt.COMMIT),
    ],
    ids=[
        *("starts-missing", "index-missing", "lengths-short", "start", "length", "negative-length"),
        *("no-episodes", "too-many-rows", "too-many-episodes", "commit-missing"),
    ],
)
def test_without_its_index_the_types_of_the_rows_tell_episodes_apart(
    change: Callable[[h5py.File], object], tmp_path: Path
) -> None:
    path = edited(pictures(tmp_path, [40, 0, 20]), change)
    found = salvage(path, tmp_path / "saved.h5")
    assert [(rows, complete) for rows, complete, _ in episodes_of(tmp_path / "saved.h5")] == [
        (list(range(41)), True),
        ([41], False),
        (list(range(42, 63)), True),
    ]
    assert (found.rows, found.episodes, found.whole_episodes) == (63, 3, 3)
    assert errors(tmp_path / "saved.h5") == []


def test_an_episode_that_was_cut_off_is_not_joined_with_the_next_one_if_the_index_is_lost(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        for number in range(3):
            pen.begin(pair(10 * number))
            pen.step(pair(10 * number + 1))
    edited(tmp_path / "run.h5", lambda file: file.__delitem__("episodes"))
    salvage(tmp_path / "run.h5", tmp_path / "saved.h5")
    assert episodes_of(tmp_path / "saved.h5") == [
        ([10 * number, 10 * number + 1], False, Origin.RESET) for number in range(3)
    ]


def test_an_index_that_lies_about_lengths_does_not_make_steps_up(tmp_path: Path) -> None:
    path = closed(tmp_path, [3, 2, 4])

    def lie(file: h5py.File) -> None:  # two episodes are said to be one
        file["episodes/lengths"][0] = 6
        file["episodes/starts"][1] = 7
        file["episodes/lengths"][1] = 4
        file[fmt.COMMIT][1] = 2

    salvage(edited(path, lie), tmp_path / "saved.h5")
    check_pairs_of(tmp_path / "saved.h5", [3, 2, 4])


def check_pairs_of(path: Path, lengths: Iterable[int]) -> None:
    starts = np.cumsum([0, *(length + 1 for length in lengths)])
    expected = [(list(range(*span)), True) for span in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)]
    assert [(rows, complete) for rows, complete, _ in episodes_of(path)] == expected


@pytest.mark.parametrize("name", ["seeds", "ids", "origins", "json/ends", "json/values", "returns", "complete"])
def test_what_is_known_of_episodes_beside_their_rows_may_be_missing(name: str, tmp_path: Path) -> None:
    path = edited(pictures(tmp_path), lambda file: file.__delitem__(f"episodes/{name}"))
    salvage(path, tmp_path / "saved.h5")
    assert [(rows, complete) for rows, complete, _ in episodes_of(tmp_path / "saved.h5")] == [
        each[:2] for each in WHOLE
    ]
    with h5r.Recording(tmp_path / "saved.h5") as recording:
        seeds = [None, None] if name == "seeds" else [0, 41]
        options = [None, None] if name.startswith("json") else [{"row": 0}, {"row": 41}]
        assert [each.seed for each in recording.episodes] == seeds
        assert [each.options for each in recording.episodes] == options
        assert [each.episode_id for each in recording.episodes] == [0, 1]


def gone_on(folder: Path) -> Path:
    """An episode of 15 steps that ends, and five steps after its end: row 16 repeats row 15."""
    env: Any = h5r.RecordToHDF5(
        ZooEnv(spaces.Box(0, 255, (84, 84), np.uint8), spaces.Discrete(2), [1.0], 15, lambda step: {"at": str(step)}),
        folder / "run.h5",
        writer="inline",
    )
    env.reset()
    for _ in range(20):
        env.step(0)
    env.close()
    with h5r.Recording(folder / "run.h5") as recording:
        assert [each.start for each in recording.episodes] == [0, 16]
        assert recording.episodes[1].origin is Origin.AFTER_DONE
    return folder / "run.h5"


def beginnings(path: Path) -> list[tuple[int, Origin]]:
    assert errors(path) == []  # among them an origin that the rows contradict
    with h5r.Recording(path) as recording:
        return [(each.length, each.origin) for each in recording.episodes]


def test_an_episode_after_the_end_of_one_repeats_its_last_row(tmp_path: Path) -> None:
    salvage(gone_on(tmp_path), tmp_path / "saved.h5")
    assert beginnings(tmp_path / "saved.h5") == [(15, Origin.RESET), (5, Origin.AFTER_DONE)]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda path: unreadable_chunk(path, chunk=0), [(5, Origin.STEP_TRIGGER)]),
        (
            lambda path: edited(path, set_item(fmt.TYPES, 15, 99)),  # the repeated row alone
            [(14, Origin.RESET), (5, Origin.STEP_TRIGGER)],
        ),
        (
            lambda path: edited(path, spoil_text(fmt.INFOS_JSON, 15, b'{"at":"51"}')),  # readable, but another
            [(15, Origin.RESET), (5, Origin.STEP_TRIGGER)],
        ),
        (
            lambda path: edited(path, set_item(fmt.TYPES, 16, 99)),  # the row that repeats it
            [(15, Origin.RESET), (4, Origin.STEP_TRIGGER)],
        ),
        (
            lambda path: edited(path, set_item(f"{fmt.EPISODES}/origins", 0, 2)),  # there is nothing before it
            [(15, Origin.STEP_TRIGGER), (5, Origin.AFTER_DONE)],
        ),
        (
            lambda path: edited(path, set_item(fmt.TYPES, 14, 99)),  # of the episode before, the repeated row is left
            [(13, Origin.RESET), (0, Origin.STEP_TRIGGER), (5, Origin.AFTER_DONE)],
        ),
    ],
    ids=["chunk", "repeated-row", "another-row", "first-row", "first-episode", "row-before"],
)
def test_an_episode_of_which_no_row_before_is_repeated_begins_in_the_middle(
    spoil: Callable[[Path], Path], expected: list[Any], tmp_path: Path
) -> None:
    salvage(spoil(gone_on(tmp_path)), tmp_path / "saved.h5")
    assert beginnings(tmp_path / "saved.h5") == expected


def test_what_is_not_as_its_checksum_says_is_not_passed_on(tmp_path: Path) -> None:
    record(
        tmp_path / "run.h5",
        ZooEnv(spaces.Discrete(5), rewards=[1.0], length=300, infos=lambda step: {}),
        [300, 300, 300],
        checksum=True,
        compression=None,  # a chunk of compressed rewards would hold all of them
    )
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        size = file[fmt.REWARDS].chunks[0]
        file[fmt.REWARDS][10] = 77.0
        rows = int(file[fmt.COMMIT][0])
    found = salvage(tmp_path / "run.h5", tmp_path / "saved.h5")
    assert found.rows == rows - size + 1  # of the final observation of the first episode, the reward does not count
    with h5r.Recording(tmp_path / "saved.h5") as recording:
        assert 77.0 not in list(recording.rows.rewards)
    assert errors(tmp_path / "saved.h5") == []


def test_checksums_that_are_damaged_themselves_cost_nothing(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(spaces.Discrete(5), length=5), [5, 3], checksum=True)
    edited(tmp_path / "run.h5", lambda file: file.__delitem__(f"{fmt.CHECKSUMS}/{fmt.REWARDS}"))
    found = salvage(tmp_path / "run.h5", tmp_path / "saved.h5")
    assert (found.rows, found.whole_episodes) == (10, 2)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda file: file.attrs.pop("fps"), "gzip"),
        (lambda file: file[fmt.METADATA].attrs.__setitem__("compression", "[[["), "gzip"),
        (lambda file: file[fmt.METADATA].attrs.__setitem__("compression", '["brotli", 3]'), "gzip"),
        (lambda file: file[fmt.METADATA].attrs.pop("compression"), "gzip"),
        (lambda file: file[fmt.METADATA].attrs.__setitem__("compression", '["lz4", null]'), "lz4"),
    ],
    ids=["fps", "compression-no-json", "compression-unknown", "compression-missing", "another-compression"],
)
def test_metadata_that_is_missing_has_a_default(
    change: Callable[[h5py.File], object], expected: str, tmp_path: Path
) -> None:
    path = edited(pictures(tmp_path, [5]), change)
    assert salvage(path, tmp_path / "saved.h5").rows == 6
    with h5r.Recording(tmp_path / "saved.h5") as recording:
        assert recording.metadata["compression"][0] == expected
        assert recording.fps in (30.0,) or np.isnan(recording.fps)


# The new file ----------------------------------------------------------------------------------------


def test_what_can_be_read_is_counted_without_writing(tmp_path: Path) -> None:
    path = unreadable_chunk(pictures(tmp_path))
    before = contents(tmp_path)
    counted = salvage(path, None)
    assert contents(tmp_path) == before
    assert counted == salvage(path, tmp_path / "saved.h5")
    with h5py.File(path) as file:
        row_bytes = sum(file[name][:1].nbytes for name in ("observations", "actions", "rewards", "terminations"))
        row_bytes += sum(file[name][:1].nbytes for name in ("truncations", "infos/row", "times"))
    assert counted == Salvaged(46, 3, 1, 62, 2, row_bytes)


def test_no_file_is_made_if_nothing_can_be_read(tmp_path: Path) -> None:
    path = edited(closed(tmp_path), lambda file: file.__delitem__(fmt.TYPES))
    assert salvage(path, tmp_path / "saved.h5").rows == 0
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.__delitem__(fmt.METADATA),
        lambda file: file[fmt.METADATA].attrs.__setitem__("schema", "{}"),
        lambda file: (file.__delitem__(fmt.COMMIT), file[fmt.METADATA].attrs.pop("total_steps")),
    ],
    ids=["metadata", "schema", "commit-and-totals"],
)
def test_not_even_knowing_what_there_was_is_an_error(change: Callable[[h5py.File], object], tmp_path: Path) -> None:
    path = edited(closed(tmp_path), change)
    for out in (None, tmp_path / "saved.h5"):
        with pytest.raises(CorruptRecordingError):
            salvage(path, out)
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    path = pictures(tmp_path, [5])
    (tmp_path / "saved.h5").write_bytes(b"precious")
    before = contents(tmp_path)
    for out in (tmp_path / "saved.h5", path):
        for refuse in (check_can_be_made, lambda out: salvage(path, out)):
            with pytest.raises(RecordingExistsError, match="exists"):
                refuse(out)
    with pytest.raises(RecordingPathError, match="does not exist"):
        check_can_be_made(tmp_path / "missing" / "saved.h5")
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("owner", "name", "error"),
    [(ColumnWriter, "write", OSError(28, "disk full")), (DamagedRecording, "row", KeyboardInterrupt())],
    ids=["disk-full", "ctrl-c"],
)
def test_a_copy_that_fails_leaves_nothing(
    owner: type, name: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pictures(tmp_path)
    before = contents(tmp_path)
    calls, method = 0, getattr(owner, name)

    def fail(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise error
        return method(*arguments)

    monkeypatch.setattr(owner, name, fail)
    with pytest.raises((WriterError, KeyboardInterrupt)):
        salvage(path, tmp_path / "saved.h5")
    assert contents(tmp_path) == before


def test_a_copy_that_was_killed_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    path = unreadable_chunk(pictures(tmp_path))
    script = """
        import os, signal, sys
        from pathlib import Path
        from gym_h5record.storage.recording_file import RecordingFile
        from gym_h5record.maintenance.repairs.salvaging import salvage
        RecordingFile.close = lambda file: os.kill(os.getpid(), signal.SIGKILL)
        salvage(Path(sys.argv[1]), sys.argv[2])
    """
    assert run_script(script, path, tmp_path / "saved.h5", check=False).returncode == -signal.SIGKILL
    with pytest.raises(InterruptedRecordingError):
        h5r.Recording(tmp_path / "saved.h5")
    before = contents(tmp_path)
    with pytest.raises(RecordingExistsError):
        salvage(path, tmp_path / "saved.h5")
    (tmp_path / "saved.h5").rename(tmp_path / "other.h5")  # only its journal is left
    with pytest.raises(RecordingExistsError, match=r"saved\.h5\.journal"):
        salvage(path, tmp_path / "saved.h5")
    assert contents(tmp_path)["saved.h5.journal"] == before["saved.h5.journal"]
    assert salvage(path, tmp_path / "again.h5").rows == 46


def test_the_new_file_may_lie_elsewhere_and_be_given_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = closed(tmp_path)
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    salvage(path, "saved.h5")
    check_pairs(tmp_path / "away" / "saved.h5", [3, 2])


def test_a_recording_that_grew_its_journal_is_saved(tmp_path: Path) -> None:
    """Values much larger than the first ones make the copy's journal grow as well."""
    infos = [{}, {"text": "x" * 3_000_000}, {}]
    record(tmp_path / "run.h5", ZooEnv(spaces.Discrete(3), length=2, infos=lambda step: infos[step]), [2])
    salvage(tmp_path / "run.h5", tmp_path / "saved.h5")
    check_equal(tmp_path / "run.h5", tmp_path / "saved.h5")


def test_the_damaged_file_may_be_read_only_and_not_in_use(tmp_path: Path) -> None:
    path = unreadable_chunk(pictures(tmp_path))
    path.chmod(0o444)
    assert salvage(path, tmp_path / "saved.h5").rows == 46
    assert RecordingFile(tmp_path / "saved.h5").rows == 46


def test_whatever_is_overwritten_reading_what_is_left_ends(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", make_schema(infos=None)) as pen:
        write_pairs(pen, [30, 4, 50])
    data = (tmp_path / "run.h5").read_bytes()
    rng = np.random.default_rng(0)
    for number in range(20):
        spoiled = bytearray(data)
        start = int(rng.integers(2000, len(data) - 300))
        spoiled[start : start + 300] = rng.bytes(300)
        path = tmp_path / f"{number}.h5"
        path.write_bytes(spoiled)
        try:
            assert salvage(path, None).rows <= 87
        except (CorruptRecordingError, NotARecordingError):
            continue


def test_metadata_that_cannot_be_read_is_left_out_and_the_rest_is_kept(tmp_path: Path) -> None:
    def spoil(file: h5py.File) -> None:
        file[fmt.METADATA].attrs.update(versions="no JSON", run_id="run 7")

    salvage(edited(closed(tmp_path), spoil), tmp_path / "saved.h5")
    with h5r.Recording(tmp_path / "saved.h5") as saved:
        assert "versions" not in saved.metadata
        assert (saved.metadata["run_id"], saved.metadata["total_steps"]) == ("run 7", 5)
    check_pairs(tmp_path / "saved.h5", [3, 2])


@pytest.mark.parametrize("content", [b"", b"a thesis"])
def test_what_another_process_has_put_in_the_place_of_the_copy_meanwhile_is_left(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = tmp_path / "run.h5", tmp_path / "out.h5"
    with Pen(path) as pen:
        write_pairs(pen, [30, 30])

    lay_out = Session.lay_out

    def and_take_its_place(*arguments: Any) -> None:
        lay_out(*arguments)
        out.write_bytes(content)

    monkeypatch.setattr(Session, "lay_out", and_take_its_place)
    with pytest.raises((WriterError, RecordingExistsError, NotARecordingError)):
        salvage(path, out)
    assert out.read_bytes() == content
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.h5", "run.h5"]


# Stacks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nest", ["", "both"])
def test_stacks_come_out_as_they_were(nest: str, tmp_path: Path) -> None:
    orders = (*START, *["slide"] * 9, *MOVES, "slide", "end slide", "slide", "jump", "reset text", "slide", "slide")
    episodes = record_stacks(tmp_path / "run.h5", orders, StackingEnv(3, np.float32, nest, seed=1), writer="inline")
    salvage(tmp_path / "run.h5", tmp_path / "saved.h5")
    check_stacks(tmp_path / "saved.h5", episodes)
    check_equal(tmp_path / "run.h5", tmp_path / "saved.h5")
    assert h5r.diff(tmp_path / "run.h5", tmp_path / "saved.h5").ok


def test_with_a_lost_frame_all_stacks_that_had_it_are_lost(tmp_path: Path) -> None:
    orders = (*START, *["slide"] * 60, "jump", *["slide"] * 90, "reset fill", *["slide"] * 40)
    (first, second) = record_stacks(tmp_path / "run.h5", orders, writer="inline")
    with h5py.File(tmp_path / "run.h5") as file:
        assert file["observations/newest"].chunks[0] == 64
    damage_chunk(tmp_path / "run.h5", "observations/newest", lambda data: b"damaged", chunk=1)
    salvage(tmp_path / "run.h5", tmp_path / "saved.h5")
    check_stacks(tmp_path / "saved.h5", [first[:64], first[131:], second])
    assert errors(tmp_path / "saved.h5") == []


def test_lost_earlier_frames_cost_the_rows_that_need_them(tmp_path: Path) -> None:
    orders = (*START, *["slide"] * 8, "jump", *["slide"] * 8)
    (episode,) = record_stacks(tmp_path / "run.h5", orders, writer="inline")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["observations/earlier/ends"][10:] += 1
    salvage(tmp_path / "run.h5", tmp_path / "saved.h5")
    check_stacks(tmp_path / "saved.h5", [episode[:10], episode[13:]])
