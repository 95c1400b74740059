"""Rows: every row that goes into the ring comes out of the file, for rings of all sizes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from gym_h5record.format.names import Origin
from gym_h5record.values.exact import identical
from gym_h5record.writing.journal_control import Control
from gym_h5record.writing.row_writer import begin_json
from tests.writing import (
    MOMENT_NS,
    NEVER_S,
    PAIR,
    PICTURE,
    USUAL_BYTES,
    CountingClock,
    Pen,
    check_alone,
    check_pairs,
    check_same_content,
    committed,
    each_writer,
    everything_env,
    make_schema,
    open_live,
    pair,
    small_journal,
    write_pairs,
)
from tests.zoo import ZooEnv, check_recorded, play

pytestmark = pytest.mark.timeout(20)  # a recorder that gets no room waits for ever

LENGTHS = [0, 1, 500, 3, 3, 0, 0, 400, 2, 8, 7, 9, 100, 16, 15, 17, 1]


def column(path: Path, name: str) -> list[Any]:
    with h5py.File(path) as file:
        found: list[Any] = file[name][: file["commit"][0]].tolist()
    return found


# The ring goes round and round -------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "writer"), [(8, "inline"), (64, "inline"), (8, "process")])
def test_rows_survive_many_turns_of_a_small_ring(
    rows: int, writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, rows)
    with Pen(tmp_path / "run.h5", writer=writer) as pen:
        assert pen.session.journal.capacity_rows == rows
        write_pairs(pen, LENGTHS)
    check_pairs(tmp_path / "run.h5", LENGTHS)
    check_alone(tmp_path / "run.h5")


@each_writer
def test_rows_of_compressed_columns_survive_many_turns_of_a_small_ring(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 64, max_bytes=1 << 20)
    with Pen(tmp_path / "run.h5", make_schema(PICTURE), writer=writer, row_bytes=7056) as pen:
        assert pen.session.journal.capacity_rows == 64
        pen.begin(np.zeros((84, 84), np.uint8))
        for step in range(1000):
            pen.step(np.full((84, 84), step % 251, np.uint8), terminated=step % 77 == 76)
            if step % 77 == 76:
                pen.begin(np.full((84, 84), 255, np.uint8))
    pictures = column(tmp_path / "run.h5", "observations")
    assert len(pictures) == 1013
    expected = [0]
    for step in range(1000):
        expected += [step % 251, 255] if step % 77 == 76 else [step % 251]
    assert [picture[83][83] for picture in pictures] == [picture[0][0] for picture in pictures] == expected


@each_writer
def test_everything_survives_many_turns_of_a_small_ring(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 64, max_bytes=1 << 20)
    env = h5r.RecordToHDF5(everything_env(length=50), tmp_path / "run.h5", writer=writer, flush_interval_s=NEVER_S)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        played = play(env, [50, 3, 0, 49] * 2)
        env.close()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert recording.num_rows > 3 * 64
        check_recorded(recording, played)


def test_the_earlier_content_of_a_slot_is_never_seen_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def record(path: Path) -> None:
        env = h5r.RecordToHDF5(
            everything_env(length=50), path, writer="inline", flush_interval_s=NEVER_S, snapshots=False
        )
        with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
            CountingClock(patch)
            warnings.simplefilter("ignore", RecordingWarning)
            play(env, [50, 3, 0, 49] * 2)
            env.close()

    record(tmp_path / "large.h5")  # every slot is used once
    small_journal(monkeypatch, 64, max_bytes=1 << 20)
    record(tmp_path / "small.h5")
    check_same_content(committed(tmp_path / "small.h5"), committed(tmp_path / "large.h5"))


@each_writer
def test_a_ring_smaller_than_the_chunks_of_its_columns_still_drains(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 8)
    with Pen(tmp_path / "run.h5", make_schema(PICTURE), writer=writer) as pen:  # sixteen in a chunk
        pen.begin(np.zeros((84, 84), np.uint8))
        for step in range(1, 60):
            pen.step(np.full((84, 84), step, np.uint8))
    assert [picture[5][5] for picture in column(tmp_path / "run.h5", "observations")] == list(range(60))


@each_writer
def test_large_pictures_beside_small_compressed_columns_still_drain(writer: str, tmp_path: Path) -> None:
    # Ant-v5 rendered at 480x480: the ring has room for 64 rows, a chunk of observations for 128.
    schema = make_schema(spaces.Box(-np.inf, np.inf, (105,), np.float64), frame=np.zeros((480, 480, 3), np.uint8))
    row_bytes = 480 * 480 * 3 + 105 * 8
    with Pen(tmp_path / "run.h5", schema, writer=writer, row_bytes=row_bytes, journal_bytes=USUAL_BYTES) as pen:
        frame = np.zeros((480, 480, 3), np.uint8)
        pen.begin(np.zeros(105), frame=frame)
        for step in range(1, 300):
            pen.step(np.full(105, step, np.float64), frame=frame)
    assert [row[7] for row in column(tmp_path / "run.h5", "observations")] == list(range(300))


# One row -----------------------------------------------------------------------------------------


def test_a_row_counts_only_once_it_is_complete(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        heads = []

        class Observation:
            """Looks at the journal while it is being recorded."""

            def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
                heads.append(pen.session.journal.control[Control.HEAD])
                return pair(1)

        pen.begin(pair(0))
        pen.rows.put_action(0)
        assert pen.session.journal.control[Control.HEAD] == 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecordingWarning)
            pen.rows.put_step(Observation(), 1.0, False, False, {}, None)
        assert set(heads) == {1}
        assert pen.session.journal.control[Control.HEAD] == 2
    assert column(tmp_path / "run.h5", "observations") == [[0, 0], [1, -1]]


def test_the_action_of_a_step_that_raised_is_forgotten(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen, pytest.warns(RecordingWarning, match="/actions"):
        pen.begin(pair(0))
        pen.rows.put_action("odd")  # and then the environment raises
        pen.step(pair(1), action=3)
        pen.rows.put_action("odd")
        pen.begin(pair(2))
        pen.step(pair(3), action=2)
        pen.rows.put_action("odd")
    assert column(tmp_path / "run.h5", "actions") == [3, 0, 2, 0]
    assert column(tmp_path / "run.h5", "exceptions/ends") == [0, 0, 0, 0]
    assert column(tmp_path / "run.h5", "types")[1][0] == column(tmp_path / "run.h5", "types")[3][0] == 0


def test_a_row_that_raised_leaves_nothing_and_can_be_given_again(tmp_path: Path) -> None:
    space = spaces.Dict(a=spaces.Text(9), b=spaces.Box(0, 1, (2,), np.float32), c=spaces.Text(9))

    def value(text: str, size: int = 2) -> dict[str, Any]:
        return {"a": text, "b": np.zeros(size, np.float32), "c": text * 2}

    with Pen(tmp_path / "run.h5", make_schema(space)) as pen:
        pen.begin(value("one"))
        with pytest.raises(RecordingWarning, match="which its column cannot hold"):  # warnings are errors here
            pen.step(value("two", 3), action=1, info={"key": "x"}, extras={"more": "y"})
        pen.step(value("three"), action=2)
        with pytest.raises(RecordingWarning, match="no exact form"):
            pen.step(value("four"), action=3, info={"key": print})
        pen.step(value("five"), action=3, terminated=True)
        with pytest.raises(RecordingWarning, match="no exact form"):
            pen.begin(value("six"), info={"key": object()})
        pen.begin(value("seven"))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert [each["c"] for each in recording.rows.observations] == ["oneone", "threethree", "fivefive", "sevenseven"]
        assert [*recording.rows.actions] == [2, 3, None, None]
        assert [*recording.rows.infos] == [{}] * 4  # type: ignore[misc]
        assert [*recording.rows.extras] == [{}] * 4  # type: ignore[misc]
        assert recording.lengths.tolist() == [2, 0]


def test_the_extras_of_a_step_that_raised_are_forgotten(tmp_path: Path) -> None:
    schema = make_schema(extras=[{"value": 1.0}])
    with Pen(tmp_path / "run.h5", schema) as pen:
        pen.begin(pair(0))
        pen.rows.put_action(0, {"value": 0.5, "prompt": "lost"})  # and then the environment raises
        pen.step(pair(1))
        pen.rows.put_action(0, {"value": 0.5, "prompt": "lost"})
        pen.step(pair(2), extras={"value": 1.5, "prompt": "kept"})
        pen.rows.put_action(0, {"value": 0.5, "prompt": "lost"})
        pen.begin(pair(3))
        pen.rows.put_action(0, {"value": 0.5, "prompt": "lost"})
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert recording.rows.extras[:] == [{}, {"value": 1.5, "prompt": "kept"}, {}, {}]  # type: ignore[index]
    assert column(tmp_path / "run.h5", "extras/value") == [0, 1.5, 0, 0]


def test_every_row_has_the_time_it_is_given_and_a_repeated_row_that_of_the_first(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        pen.begin(pair(0))
        pen.step(pair(1), terminated=True)
        pen.rows.repeat_last_row(begin_json(None, None, Origin.AFTER_DONE, 0))
        pen.step(pair(2))
    assert column(tmp_path / "run.h5", "times") == [0, MOMENT_NS, MOMENT_NS, 3 * MOMENT_NS]


def test_a_row_without_a_time_comes_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gym_h5record.writing.row_writer.monotonic_ns", lambda: pen.session.began_ns + 5)
    with Pen(tmp_path / "run.h5") as pen:
        pen.rows.begin_episode(pair(0), {}, None, begin_json(None, None, Origin.RESET, 0))
        pen.rows.put_action(0)
        pen.rows.put_step(pair(1), 1.0, False, False, {}, None)
    assert column(tmp_path / "run.h5", "times") == [5, 5]


def test_an_action_may_be_changed_once_it_is_recorded(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", make_schema(action=PAIR)) as pen:
        action = pair(5)
        pen.begin(pair(0))
        pen.rows.put_action(action)
        action[:] = 0
        pen.rows.put_step(pair(1), 1.0, False, False, {}, None)
    assert column(tmp_path / "run.h5", "actions")[0] == [5, -5]


@pytest.mark.parametrize("flush", [False, True], ids=["", "flushed"])
def test_an_episode_ended_from_outside_is_incomplete_and_no_flag_is_invented(flush: bool, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        for row in (0, 2):
            pen.begin(pair(row))
            pen.step(pair(row + 1))
            if flush:
                pen.flush()
            pen.rows.end_episode()
            if flush:
                pen.flush()
    with h5py.File(tmp_path / "run.h5") as file:
        assert file["commit"][:2].tolist() == [4, 2]
        assert file["episodes/lengths"][:2].tolist() == [1, 1]
        assert not file["episodes/complete"][:2].any()
        assert not file["dones"][:4].any()


@each_writer
def test_an_episode_ended_from_outside_is_committed_without_another_row(writer: str, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", writer=writer, flush_interval_s=0.01) as pen:
        pen.begin(pair(0))
        pen.step(pair(1))
        pen.flush()
        pen.rows.end_episode()
        pen.flush()
        with open_live(tmp_path / "run.h5") as file:
            assert file["commit"][:2].tolist() == [2, 1]


@pytest.mark.parametrize("rows", [8, 4096])
def test_going_on_after_the_end_repeats_the_last_row_whole(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, rows)
    schema = make_schema(spaces.Text(10), infos=[{"x": 1}])
    with Pen(tmp_path / "run.h5", schema) as pen:
        pen.begin("first", {"x": 5})
        for number in range(20):
            pen.step(f"end {number}", terminated=True, info={"x": number, "rest": [number]})
            pen.rows.repeat_last_row(begin_json(None, None, Origin.AFTER_DONE, 0))
    recording = h5r.Recording(tmp_path / "run.h5")
    assert recording.num_episodes == 21
    for before, after in zip(recording.episodes[:-1], recording.episodes[1:], strict=True):
        assert after.origin == Origin.AFTER_DONE
        assert identical(after.observations[0], before.observations[-1])
        assert identical(after.infos[0], before.infos[-1])
    assert recording.episodes[20].observations[0] == "end 19"
    assert recording.episodes[20].infos[0] == {"x": 19, "rest": [19]}


def test_exceptions_belong_to_the_row_or_step_that_had_them(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen, pytest.warns(RecordingWarning):
        pen.begin("row 0")
        pen.step(pair(1), action="action 0", reward="reward 0", terminated="yes", truncated=None)
        pen.begin(pair(2))
        pen.step(pair(3))
        pen.step("row 4", action="action 3")
    recording = h5r.Recording(tmp_path / "run.h5")
    first, second = recording.episodes
    assert (first.actions[0], first.rewards[0]) == ("action 0", "reward 0")
    assert (first.terminations[0], first.truncations[0]) == ("yes", None)
    assert [str(each) for each in first.observations[:]] == ["row 0", "[ 1. -1.]"]
    assert second.actions[:] == [0, "action 3"]
    assert second.observations[2] == "row 4"
    ends = column(tmp_path / "run.h5", "exceptions/ends")
    assert np.diff([0, *ends]).astype(bool).tolist() == [True, False, False, True, True]


def test_each_value_that_does_not_fit_is_warned_of_once_by_name(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pen.begin(np.zeros(3))
        for _ in range(3):
            pen.step(np.zeros(3), reward="x", info={"object": object()})
    messages = [str(each.message) for each in caught]
    assert [each.category for each in caught] == [RecordingWarning] * 3
    assert [message.partition(":")[0] for message in messages] == ["/observations", "/rewards", "/infos"]
    assert "array of float64 with shape (3,)" in messages[0]
    assert "repr" in messages[2]


def test_an_info_that_contains_itself_is_recorded_as_text(tmp_path: Path) -> None:
    info: dict[str, Any] = {}
    info["self"] = info
    with Pen(tmp_path / "run.h5") as pen, pytest.warns(RecordingWarning):
        pen.begin(pair(0), info)
        pen.step(pair(1), info={"fine": 1})
    found = h5r.Recording(tmp_path / "run.h5").rows.infos
    assert found[0] is not None
    assert "self" in str(found[0])
    assert found[1] == {"fine": 1}


# Segments larger than the journal ----------------------------------------------------------------


def text_info(row: int, size_bytes: int) -> dict[str, Any]:
    return {"row": row, "text": f"{row:06d}" * (size_bytes // 6)}


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("kilobytes", "writer"),
    [(3, "inline"), (30, "inline"), (300, "inline"), (3000, "inline"), (30, "process"), (3000, "process")],
)
def test_infos_of_any_size_make_the_journal_grow_as_needed_and_nothing_is_lost(
    kilobytes: int, writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 8)
    with Pen(tmp_path / "run.h5", writer=writer) as pen:
        before_bytes = pen.session.journal.blob_bytes
        pen.begin(pair(0))
        for row in range(1, 12):
            pen.step(pair(row), info=text_info(row, kilobytes << 10) if row % 4 else {"row": row})
        assert kilobytes < 30 or pen.session.journal.blob_bytes > before_bytes
    recording = h5r.Recording(tmp_path / "run.h5")
    for row, info in enumerate(recording.rows.infos):
        expected = {} if row == 0 else text_info(row, kilobytes << 10) if row % 4 else {"row": row}
        assert info == expected, row
    assert column(tmp_path / "run.h5", "observations") == [pair(row).tolist() for row in range(12)]
    check_alone(tmp_path / "run.h5")


@pytest.mark.usefixtures("usual_journals")
@each_writer
def test_infos_of_many_megabytes_are_kept_with_a_journal_of_the_usual_size(writer: str, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", writer=writer, journal_bytes=USUAL_BYTES) as pen:
        pen.begin(pair(0))
        for row in range(1, 4):
            pen.step(pair(row), info=text_info(row, 12 << 20))
    recording = h5r.Recording(tmp_path / "run.h5")
    assert [info == text_info(row, 12 << 20) for row, info in enumerate(recording.rows.infos)] == [
        False,
        True,
        True,
        True,
    ]


@each_writer
def test_texts_of_five_megabytes_are_kept(writer: str, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", make_schema(spaces.Text(10**7)), writer=writer, journal_bytes=USUAL_BYTES) as pen:
        pen.begin("0" * (5 << 20))
        for row in range(1, 4):
            pen.step(str(row) * (5 << 20))
    recording = h5r.Recording(tmp_path / "run.h5")
    assert [text == str(row) * (5 << 20) for row, text in enumerate(recording.rows.observations)] == [True] * 4


@each_writer
def test_texts_of_rows_that_wait_for_their_chunk_to_fill_are_kept(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 64, max_bytes=1 << 20)
    space = spaces.Dict(picture=PICTURE, text=spaces.Text(10**7))  # sixteen rows are held back with all their text
    texts = [f"{row:04d}" * 50_000 for row in range(40)]
    with Pen(tmp_path / "run.h5", make_schema(space), writer=writer, row_bytes=7056) as pen:
        for row, text in enumerate(texts):
            observation = {"picture": np.full((84, 84), row, np.uint8), "text": text}
            if row:
                pen.step(observation)
            else:
                pen.begin(observation)
    recording = h5r.Recording(tmp_path / "run.h5")
    for row, observation in enumerate(recording.rows.observations):
        assert observation["text"] == texts[row], row
        assert (observation["picture"] == row).all()


@each_writer
def test_actions_and_options_of_any_size_are_kept(writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_journal(monkeypatch, 8)
    schema = make_schema(action=spaces.Text(10**7))
    with Pen(tmp_path / "run.h5", schema, writer=writer) as pen:
        for episode in range(5):
            pen.begin(pair(0), options={"text": str(episode) * 100_000})
            for step in range(5):
                pen.step(pair(1), action=str(step) * 100_000)
    for number, episode in enumerate(h5r.Recording(tmp_path / "run.h5").episodes):
        assert episode.options == {"text": str(number) * 100_000}
        assert episode.actions[:] == [str(step) * 100_000 for step in range(5)]


def test_growing_in_the_middle_of_an_episode_that_goes_on_after_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 8)
    with Pen(tmp_path / "run.h5", make_schema(spaces.Text(10**7))) as pen:
        pen.begin("start")
        for number in range(6):
            pen.step(str(number) * 20_000 * (number + 1), terminated=True)
            pen.rows.repeat_last_row(begin_json(None, {"big": "x" * 70_000 * number}, Origin.AFTER_DONE, 0))
    recording = h5r.Recording(tmp_path / "run.h5")
    for number in range(6):
        text = str(number) * 20_000 * (number + 1)
        assert recording.episodes[number].observations[-1] == recording.episodes[number + 1].observations[0] == text


@each_writer
def test_a_spare_journal_left_by_a_killed_recorder_is_no_hindrance(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 8)
    (tmp_path / "run.h5.journal.new").write_bytes(b"left over")
    with Pen(tmp_path / "run.h5", writer=writer) as pen:
        pen.begin(pair(0))
        pen.step(pair(1), info=text_info(1, 200_000))
    assert h5r.Recording(tmp_path / "run.h5").rows.infos[1] == text_info(1, 200_000)
    check_alone(tmp_path / "run.h5")


@each_writer
def test_a_schema_larger_than_was_reserved_for_it_gets_a_larger_journal(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 8)
    space = spaces.Dict({f"{number:04d}" * 500: spaces.Discrete(4) for number in range(90)})
    env = h5r.RecordToHDF5(ZooEnv(space, rewards=(1.0,)), tmp_path / "run.h5", writer=writer)
    played = play(env, [9])
    env.close()
    check_recorded(h5r.Recording(tmp_path / "run.h5"), played)


@each_writer
def test_first_values_larger_than_the_reset_promised_get_a_larger_journal(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 8)
    schema = make_schema(spaces.Box(0, 255, (300, 300, 3), np.uint8))
    with Pen(tmp_path / "run.h5", schema, writer=writer, row_bytes=16) as pen:
        pen.begin(np.full((300, 300, 3), 0, np.uint8))
        for step in range(1, 20):
            pen.step(np.full((300, 300, 3), step, np.uint8))
    found = h5r.Recording(tmp_path / "run.h5").rows.observations
    assert [int(found[row][299, 299, 2]) for row in range(20)] == list(range(20))


# How episodes begin ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "stored", "kept"),
    [
        (None, -1, None),
        (0, 0, None),
        (2**63 - 1, 2**63 - 1, None),
        (np.int64(5), 5, None),
        (np.uint8(5), 5, None),
        (2**63, -2, 2**63),
        (2**200, -2, 2**200),
        (np.uint64(2**64 - 1), -2, 2**64 - 1),
        (-1, -2, -1),
    ],
    ids=repr,
)
def test_seeds_beyond_int64_are_kept_beside_the_column(seed: Any, stored: int, kept: Any) -> None:
    begin = begin_json(seed, None, Origin.RESET, 7)
    assert begin["columns"] == {"seeds": stored, "ids": 7, "origins": 0}
    assert begin["json"] == ({} if kept is None else {"seed": kept})


def test_options_are_tagged() -> None:
    assert begin_json(None, {"a": (1,)}, Origin.RESET, 0)["json"] == {"options": {"a": {"$tuple": [1]}}}
    assert begin_json(None, {}, Origin.RESET, 0)["json"] == {"options": {}}
