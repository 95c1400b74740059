"""The drain of lanes: it gives the same file, whenever and however often it runs, and loses nothing of any lane."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError, WriterError
from gym_h5record.format.claims import LaneCommit
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.storage.compaction import compact
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.values.exact import identical
from gym_h5record.writing import lane_row_writer
from gym_h5record.writing.journal_control import Control
from gym_h5record.writing.segments import pack_segment
from tests.writing import PAIR, PICTURE, small_journal
from tests.writing.lane_pen import LanePen, lane_schema

pytestmark = pytest.mark.timeout(30)

LARGE = spaces.Box(-1e9, 1e9, (900,), np.float64)
"""Compressed, sixteen in a chunk."""
ROWS_OF_LARGE = 16
WORDS = spaces.Sequence(spaces.Text(9, min_length=0))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.h5"


def pairs(number: float, lanes: int = 2) -> np.ndarray:
    return np.full((lanes, 2), number, np.float64)


def large(number: float, lanes: int = 2) -> np.ndarray:
    return np.full((lanes, 900), number, np.float64)


def drain_of(pen: LanePen) -> Any:
    return pen.session._worker._drain  # type: ignore[attr-defined]


def committed(pen: LanePen) -> LaneCommit:
    found: LaneCommit = drain_of(pen)._file.committed
    return found


def restart(pen: LanePen) -> None:
    """Have another drain go on from the file and the journal."""
    worker: Any = pen.session._worker
    worker._file.discard()
    worker._drain = worker._file = None


def content(path: Path) -> dict[tuple[str, int], list[Any]]:
    """All valid items of each lane, by the description of the format."""
    found: dict[tuple[str, int], list[Any]] = {}
    with h5py.File(path) as file:
        *rows, _ = file["commit"][:].tolist()
        schema = schema_from_json(file["metadata"].attrs["schema"])
        for field in schema.fields:
            for lane, count in enumerate(rows):
                if field.parent is not None:
                    ends = found[field.parent, lane]
                    count = ends[-1] if ends else 0
                found[field.name, lane] = file[field.name][:count, lane].tolist()
        for name in ("dones", "types"):
            found |= {(name, lane): file[name][:count, lane].tolist() for lane, count in enumerate(rows)}
        return {each: items for each, items in found.items() if each[0] != "times"}  # which differ from run to run


def first_numbers(path: Path, lane: int) -> list[list[float]]:
    """The first number of the observation of each row, by episode."""
    with h5r.Recording(path) as recording:
        return [np.asarray(each.observations[:])[:, 0].tolist() for each in recording.lane(lane)]


# Whenever and however often ------------------------------------------------------------------------

BOTH = spaces.Dict({"large": LARGE, "pair": PAIR, "words": WORDS})


def write_everything(path: Path, flush: Any) -> None:
    """Three lanes of which one is reset often, one ends late, and one never."""
    with LanePen(path, 3, None, BOTH, spaces.Text(9), row_bytes=8000) as pen:

        def batch(step: int) -> dict[str, Any]:
            words = tuple(tuple(f"{lane}" * (k + step % 2) for k in range((step + lane) % 3)) for lane in range(3))
            return {"large": large(step, 3) + np.arange(3)[:, None], "pair": pairs(step, 3), "words": words}

        pen.begin(batch(0), seeds={0: 5, 1: 6, 2: 7})
        over: list[int] = []
        for step in range(1, 50):
            ended = [
                lane for lane in ([0] if step % 4 == 0 else []) + ([1] if step % 33 == 0 else []) if lane not in over
            ]
            pen.step(
                batch(step),
                actions=[f"a{step} {lane}" for lane in range(3)],
                rewards=np.arange(3) + step / 8,
                ended=ended,
                reset=over,
                infos={"n": np.full(3, step), "_n": np.arange(3) != step % 3, "word": ["x", "y", f"{step}"]},
                extras={"note": [f"{step}"] * 3} if step % 2 else {},
            )
            over = ended
            flush(pen, step)


@pytest.fixture(scope="module")
def drained_once(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], list[Any]]:
    path = tmp_path_factory.mktemp("once") / "run.h5"
    write_everything(path, lambda *_: None)
    with h5r.Recording(path) as recording:
        assert recording.lane(0)[3].infos[1].keys() == {"n", "word"}
    return content(path)


def every(count: int, *, anew: bool = False) -> Any:
    def flush(pen: LanePen, step: int) -> None:
        if step % count == 0:
            pen.flush()
            if anew:
                restart(pen)

    return flush


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("count", "anew", "ring_rows"),
    [(1, False, 8), (5, False, 64), (16, False, 64), (7, True, 8), (17, True, 64)],
    ids=["each step", "few steps", "chunks", "another drain, small ring", "another drain"],
)
def test_drains_at_any_moments_write_what_one_at_the_end_does(
    count: int,
    anew: bool,
    ring_rows: int,
    drained_once: dict[tuple[str, int], list[Any]],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small_journal(monkeypatch, ring_rows, max_bytes=4 << 20)
    write_everything(path, every(count, anew=anew))
    found = content(path)
    assert [name for name in drained_once if found[name] != drained_once[name]] == []


def test_draining_twice_changes_nothing(path: Path) -> None:
    with LanePen(path, 2, None, LARGE) as pen:
        pen.begin(large(0))
        for step in range(1, 20):
            pen.step(large(step))
        pen.flush()
        before = path.read_bytes()
        pen.flush()
        assert path.read_bytes() == before


def test_a_drain_that_died_before_it_released_its_ticks_is_run_again(path: Path) -> None:
    with LanePen(path) as pen:
        pen.begin(pairs(0))
        for step in range(1, 700):
            pen.step(pairs(step))
        pen.flush()
        control, now = pen.session.journal.control, committed(pen)
        assert now.tail > 500
        control[Control.TAIL] = control[Control.BLOB_TAIL] = 0
        restart(pen)
        pen.step(pairs(700))
        pen.flush()
        assert committed(pen).lane_rows == (701, 701)
    assert first_numbers(path, 1) == [list(range(701))]


# What it writes ------------------------------------------------------------------------------------


def test_steps_that_never_came_are_zero_and_without_type(path: Path) -> None:
    action = np.full((2, 900), 7.0)
    with LanePen(path, 2, None, PAIR, LARGE) as pen:
        pen.begin(pairs(9))
        pen.step(pairs(9), actions=action, ended=[0])
        pen.step(pairs(9), actions=action, reset=[0])
        pen.rows.put_actions(action, {}, [0, 1])  # a step that never returns
    with h5py.File(path) as file:
        codes = schema_from_json(file["metadata"].attrs["schema"]).num_step_codes
        for lane, last in ((0, [1, 2]), (1, [2])):
            others = [row for row in range(3) if row not in last]
            for name in ("actions", "rewards", "terminations", "dones"):
                assert not file[name][last, lane].any(), name
            assert not file["types"][last, lane, :codes].any()
            assert file["actions"][others, lane].all()
            assert file["types"][others, lane, :codes].all()


def test_dones_are_terminations_or_truncations_of_their_lane(path: Path) -> None:
    with LanePen(path, 3) as pen:
        pen.begin(pairs(0, 3))
        pen.step(pairs(1, 3), ended=[0], truncated=[1])
        pen.step(pairs(2, 3), reset=[0, 1])
    with h5py.File(path) as file:
        assert file["terminations"][:3].T.tolist() == [[True, False, False], [False] * 3, [False] * 3]
        assert file["truncations"][:3].T.tolist() == [[False] * 3, [True, False, False], [False] * 3]
        assert file["dones"][:3].T.tolist() == [[True, False, False]] * 2 + [[False] * 3]


@pytest.mark.parametrize("flush_at", [ROWS_OF_LARGE - 2, ROWS_OF_LARGE - 1, ROWS_OF_LARGE, 2 * ROWS_OF_LARGE - 1])
@pytest.mark.parametrize("lags", [False, True], ids=["in step", "a lane lags"])
def test_the_step_of_a_row_that_filled_a_chunk_when_it_was_committed_is_not_lost(
    flush_at: int,
    lags: bool,
    path: Path,
) -> None:
    """The newest row has no step yet. It is written again, although its chunk was full."""
    with LanePen(path, 2, None, LARGE, LARGE) as pen:
        pen.begin(large(0))
        if lags:
            pen.begin(large(0), [0])
        for step in range(1, 40):
            pen.step(large(step), actions=large(step))
            if step == flush_at:
                pen.flush()
    with h5r.Recording(path) as recording:
        for lane in (0, 1):
            actions = recording.lane(lane)[len(recording.lane(lane)) - 1].actions[:]
            assert actions[:, 0].tolist() == actions[:, -1].tolist() == list(range(1, 40))


def test_nested_lists_of_each_lane_begin_with_its_own_items(path: Path) -> None:
    values = [((), ("a", "bb")), (("c",), ()), (("", "dd"), ("e", "", "f"))]
    with LanePen(path, 2, None, WORDS) as pen:
        pen.begin(values[0])
        for each in values[1:]:
            pen.step(each)
            pen.flush()
    with h5py.File(path) as file:
        assert file["observations/ends"][:3].T.tolist() == [[0, 1, 3], [2, 2, 5]]
        texts = {"/".join(name.split("/")[:-1]) for name in names(file["observations"]) if name.endswith("ends")} - {""}
        (inner,) = texts
        assert file[f"observations/{inner}/ends"][:3, 0].tolist() == [1, 1, 3]
        assert file[f"observations/{inner}/ends"][:5, 1].tolist() == [1, 3, 4, 4, 5]
        assert file[f"observations/{inner}/values"][:3, 0].tobytes() == b"cdd"
        assert file[f"observations/{inner}/values"][:5, 1].tobytes() == b"abbef"


def names(group: h5py.Group) -> list[str]:
    found: list[str] = []
    group.visit(found.append)
    return found


def test_infos_of_a_lane_are_its_own_where_masks_come_and_go(path: Path) -> None:
    schema = lane_schema(2, PAIR, infos=[{"n": np.int64(0)}])
    with LanePen(path, 2, schema) as pen:
        pen.begin(pairs(0), infos={"n": np.array([1, 2])})
        pen.step(pairs(1), infos={"n": np.array([3, 9]), "_n": np.array([True, False])})
        pen.step(pairs(2), infos={"word": ["a", "b"]})
        pen.step(pairs(3), infos={"n": np.array([9, 4]), "_n": np.array([False, True]), "word": ["c", "d"]})
    with h5r.Recording(path) as recording:
        found = [list(recording.lane(lane)[0].infos) for lane in (0, 1)]
    assert identical(found[0], [{"n": np.int64(1)}, {"n": np.int64(3)}, {"word": "a"}, {"word": "c"}])
    assert identical(found[1], [{"n": np.int64(2)}, {}, {"word": "b"}, {"n": np.int64(4), "word": "d"}])


# What it releases ----------------------------------------------------------------------------------


def test_ticks_are_released_when_the_rows_before_them_fill_the_chunks_of_all_lanes(path: Path) -> None:
    with LanePen(path, 2, None, LARGE) as pen:
        pen.begin(large(0))
        for step in range(1, 20):
            pen.step(large(step))
        pen.flush()
        assert committed(pen) == LaneCommit((20, 20), 0, head=20, tail=16, tail_rows=(16, 16))
        pen.begin(large(99), [1])  # the first row of another episode
        for step in range(20, 36):
            pen.step(large(step))
        pen.flush()
        assert committed(pen) == LaneCommit((36, 37), 1, head=37, tail=32, tail_rows=(31, 32))
        assert pen.session.journal.control[Control.TAIL] == 32
    file = RecordingFile(path)
    assert file.committed == LaneCommit((36, 37), 3, head=37, tail=37, tail_rows=(36, 37))
    file.close()


def test_a_lane_that_lags_holds_what_is_ahead_of_it_until_the_ring_is_half_full(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 16)
    with LanePen(path) as pen:
        pen.begin(pairs(0))
        for number in range(1, 8):
            pen.begin(pairs(number), [0])
        pen.flush()
        assert committed(pen).tail == 0  # lane 1 waits for its step
        pen.step(pairs(8))
        for number in range(9, 40):
            pen.step(pairs(number))
        pen.flush()
        assert committed(pen).tail >= 24
    assert first_numbers(path, 0) == [[number] for number in range(7)] + [[7.0, *range(8, 40)]]
    assert first_numbers(path, 1) == [[0.0, *range(8, 40)]]


def test_a_lane_that_is_not_recorded_any_more_holds_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_journal(monkeypatch, 16)
    with LanePen(path) as pen:
        pen.begin(pairs(0))
        pen.step(pairs(1), ended=[0])
        for number in range(2, 100):
            pen.step(pairs(number), stepped=[1])
    assert (first_numbers(path, 0), first_numbers(path, 1)) == ([[0, 1]], [list(range(100))])


# Discarded episodes --------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [LARGE, spaces.Sequence(PICTURE)], ids=["arrays", "lists of pictures"])
def test_an_episode_that_filled_chunks_in_the_ring_leaves_nothing_when_it_is_discarded(space: Any, path: Path) -> None:
    def batch(number: int) -> Any:
        if space is LARGE:
            return large(number)
        return ((np.full((84, 84), number, np.uint8),) * (number % 2),) * 2

    with LanePen(path, 2, None, space, row_bytes=8000) as pen:
        pen.begin(batch(0))
        pen.step(batch(1), ended=[1])  # lane 1 has two rows, and holds the ticks of its chunk
        for number in range(2, 40):
            pen.step(batch(number), stepped=[0])
        pen.flush()
        assert committed(pen).tail <= 1
        pen.discard(0)
        pen.begin(batch(100), [0])
        for number in range(101, 140):
            pen.step(batch(number), stepped=[0])
        pen.flush()
    with h5r.Recording(path) as recording:
        (newest,), (other,) = recording.lane(0), recording.lane(1)
        assert identical(list(newest.observations), [batch(number)[0] for number in range(100, 140)])
        assert identical(list(other.observations), [batch(number)[0] for number in (0, 1)])
    assert [each.code for each in h5r.validate(path, deep=True)] == ["metadata-incomplete"]


def test_steps_of_a_discarded_episode_are_counted_once_however_it_is_released(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 8)
    with LanePen(path) as pen:
        pen.begin(pairs(0))
        for number in range(1, 13):
            pen.step(pairs(number))
            pen.flush()
        pen.discard(0)
        for number in range(13, 24):
            pen.step(pairs(number), stepped=[1])
            pen.flush()
    file = RecordingFile(path)
    assert file.committed[:4] == ((0, 24), 1, 1, 12)
    assert file.metadata()["discarded_steps"] == 12
    file.close()


def test_numbers_of_a_commit_part_where_episodes_are_discarded(path: Path) -> None:
    with LanePen(path, 2, None, LARGE) as pen:
        commits = []
        for is_discarded in (False, True, False):
            pen.begin(large(0))
            for number in range(1, 20):
                pen.step(large(number))
            if is_discarded:
                pen.discard(1)
            pen.flush()
            commits.append(committed(pen))
    assert commits == [
        LaneCommit((20, 20), 0, head=20, tail=16, tail_rows=(16, 16)),
        LaneCommit((40, 20), 2, discarded_episodes=0, discarded_steps=0, head=40, tail=16, tail_rows=(16, 16)),
        LaneCommit((60, 40), 3, discarded_episodes=1, discarded_steps=19, head=60, tail=48, tail_rows=(48, 28)),
    ]


def test_the_ring_goes_on_where_the_episode_behind_one_without_a_mark_is_discarded(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its newest row would wait for a step for ever, and the recorder for the drain."""
    small_journal(monkeypatch, 16)
    with LanePen(path) as pen:
        pen.begin(pairs(0))
        pen.begin(pairs(1), [0])  # nothing has marked the end of the first episode
        pen.step(pairs(2))
        pen.discard(0)
        for number in range(3, 60):
            pen.step(pairs(number), stepped=[1])
    assert first_numbers(path, 0) == [[0]]
    assert first_numbers(path, 1) == [[0.0, *range(2, 60)]]


# Appending, many lanes, damage ---------------------------------------------------------------------


def test_a_compacted_recording_is_appended_to(path: Path) -> None:
    for life, mode in enumerate("xaa"):
        with LanePen(path, 3, mode=mode) as pen:
            pen.begin(pairs(100 * life, 3))
            for number in range(1, 30 + life):
                pen.step(
                    pairs(100 * life + number, 3),
                    stepped=[0, 2] if number > 5 else None,
                    ended=[1] if number == 5 else [],
                )
        assert compact(path)
    for lane in (0, 2):
        assert first_numbers(path, lane) == [[100 * life + k for k in range(30 + life)] for life in range(3)]
    assert first_numbers(path, 1) == [[100 * life + k for k in range(6)] for life in range(3)]


def test_a_thousand_lanes_are_written_and_read(path: Path) -> None:
    lanes = 1024
    with LanePen(path, lanes, row_bytes=1 << 16) as pen:
        numbers = np.arange(lanes, dtype=np.float64)
        pen.begin(np.stack([numbers, numbers], 1), is_bare=True)
        over: list[int] = []
        for step in range(1, 12):
            ended = [lane for lane in range(step, lanes, 11) if lane not in over]
            pen.step(np.stack([numbers, numbers + step], 1), rewards=numbers, ended=ended, reset=over)
            over = ended
            if step % 4 == 0:
                pen.flush()
    with h5r.Recording(path) as recording:
        assert recording.num_rows == 12 * lanes
        assert [(each.length, each.total_reward) for each in recording.lane(1001)] == [(11, 11 * 1001)]
        assert [each.observations[:][:, 1].tolist() for each in recording.lane(5)] == [
            [5, 6, 7, 8, 9, 10],
            [11, 12, 13, 14, 15, 16],
        ]
        assert recording.select("env == 5").returns.tolist() == [25, 25]
    assert path.stat().st_size < 3 << 20


def test_a_value_of_a_lane_that_there_is_not_is_corruption(path: Path) -> None:
    pen = LanePen(path)
    pen.begin(pairs(0))
    pen.flush()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lane_row_writer, "pack_begin", lambda *_: pack_segment(0, b"", 2))
        pen.begin(pairs(1))
    with pytest.raises((CorruptRecordingError, WriterError), match="the journal has a value of lane 2"):
        pen.flush()
    pen.close()


def test_a_recorder_that_waits_for_room_goes_on_when_the_drain_has_run(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 8)
    with LanePen(path, flush_interval_s=3600) as pen:
        thread = threading.Thread(target=pen.begin, args=(pairs(0),))
        thread.start()
        thread.join()
        for step in range(1, 50):
            pen.step(pairs(step))
        assert pen.session.journal.control[Control.TAIL] > 40
    assert first_numbers(path, 0) == [list(range(50))]
