"""Decode: every value comes back as it was, and damage is named, not guessed at."""

from __future__ import annotations

import pickle
import shutil
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError, RecordingError, RecordingWarning
from gym_h5record.format.names import NUMPY_SCALARS
from gym_h5record.values.exact import identical
from gym_h5record.values.tagged_json import TaggedText
from tests.reading import record
from tests.writing import Pen, make_schema, pair
from tests.zoo import REWARDS, ZooEnv, every_space_by_name, passing_infos, samples
from tests.zoo_recordings import zoo_recording

pytestmark = pytest.mark.compacted


def write(path: Path, observations: Iterable[Any], space: gym.Space[Any], **options: Any) -> Path:
    """A recording of one episode with these observations."""
    first, *rest = observations
    with Pen(path, make_schema(space, **options)) as pen, warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        pen.begin(first)
        for each in rest:
            pen.step(each)
    return path


def check_observations(path: Path, expected: list[Any]) -> None:
    """Fail unless the observations are these, one by one and all at once."""
    found = h5r.Recording(path).rows.observations
    for row, value in enumerate(expected):
        assert identical(found[row], value), f"row {row}: expected {value!r}, found {found[row]!r}"
    assert len(found) == len(expected)


# Values ------------------------------------------------------------------------------------------


@pytest.mark.sampled(10)
@every_space_by_name
def test_one_value_is_exact_and_a_batch_agrees_with_it(name: str) -> None:
    values = zoo_recording(name).observations
    column = h5r.Recording(zoo_recording(name).path).rows.observations
    for row in (5, 0, 3, 1, 4, 2):
        assert identical(column[row], values[row])
    check_batch(column[:], [column[row] for row in range(len(values))])
    check_batch(column[2:4], [column[row] for row in (2, 3)])
    check_batch(column[3:3], [])


@pytest.mark.sampled(10)
@every_space_by_name
def test_rows_in_any_order_are_those_one_by_one(name: str) -> None:
    values = zoo_recording(name).observations
    recording = h5r.Recording(zoo_recording(name).path)
    decoder, node = recording.rows.observations._decoder, recording.schema.observation
    for rows in ([3, 3, 0, 5], [4], []):
        check_batch(decoder.take(node, np.array(rows, np.int64)), [values[row] for row in rows])
        codes = decoder.take_codes(node, np.array(rows, np.int64))
        assert codes.tolist() == decoder.codes(node, 0, 6)[rows].tolist()


def check_batch(batch: Any, rows: list[Any]) -> None:
    """Fail unless a batch is a list of the rows, or the array, dict or tuple of their parts."""
    if isinstance(batch, dict):
        for key, part in batch.items():
            check_batch(part, [row[key] for row in rows])
    elif isinstance(batch, tuple):
        for index, part in enumerate(batch):
            check_batch(part, [row[index] for row in rows])
    elif isinstance(batch, list):
        assert len(batch) == len(rows)
        assert all(map(identical, batch, rows))
    else:
        assert isinstance(batch, np.ndarray)
        assert len(batch) == len(rows)
        assert all(
            np.asarray(row, batch.dtype).tobytes() == item.tobytes() for item, row in zip(batch, rows, strict=True)
        )


def test_every_type_of_number_comes_back(tmp_path: Path) -> None:
    rewards: list[Any] = [kind(1) for kind in (int, float, bool, *NUMPY_SCALARS)]
    rewards += [*REWARDS, "text", None, np.longdouble(0.1), 1j, np.arange(3)]
    with Pen(tmp_path / "run.h5") as pen, warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        pen.begin(pair(0))
        for reward in rewards:
            pen.step(pair(0), reward=reward)
    found = h5r.Recording(tmp_path / "run.h5").episodes[0].rewards
    for step, reward in enumerate(rewards):
        assert identical(found[step], reward), f"expected {reward!r}, found {found[step]!r}"
    assert isinstance(found[:], list)  # there are exceptions among them
    assert found[:3].tolist() == [1.0, 1.0, 1.0]
    assert found[:3].dtype == np.float64


def test_arrays_are_the_callers_own(tmp_path: Path) -> None:
    write(tmp_path / "run.h5", [pair(1), pair(2), pair(3)], spaces.Box(-9, 9, (2,), np.float64))
    column = h5r.Recording(tmp_path / "run.h5").rows.observations
    for read in (lambda: column[1], lambda: column[1:2], lambda: column[:]):
        first = read()
        assert first.flags.writeable
        assert first.flags.c_contiguous
        first[...] = 99
        assert not (read() == 99).any()


def test_arrays_of_rank_0_stay_arrays(tmp_path: Path) -> None:
    values = [np.array(k, np.float32) for k in range(3)]
    write(tmp_path / "run.h5", values, spaces.Box(0, 9, (), np.float32))
    check_observations(tmp_path / "run.h5", values)
    assert h5r.Recording(tmp_path / "run.h5").rows.observations[:].shape == (3,)


def test_arrays_without_elements_come_back_with_their_shape(tmp_path: Path) -> None:
    values = [np.empty((2, 0, 3), np.int8)] * 3
    write(tmp_path / "run.h5", values, spaces.Box(0, 9, (2, 0, 3), np.int8))
    check_observations(tmp_path / "run.h5", values)
    batch = h5r.Recording(tmp_path / "run.h5").rows.observations[1:]
    assert (batch.shape, batch.dtype) == ((2, 2, 0, 3), np.int8)


def test_padding_is_none_one_by_one_and_zero_in_a_batch(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        for _ in range(2):
            pen.begin(pair(0))
            pen.step(pair(1), action=3, reward=2.5, terminated=True)
    recording = h5r.Recording(tmp_path / "run.h5")
    assert [recording.rows.actions[row] for row in range(4)] == [3, None, 3, None]
    assert recording.rows.actions[:].tolist() == [3, 0, 3, 0]
    assert [recording.rows.rewards[row] for row in range(4)] == [2.5, None, 2.5, None]
    assert recording.rows.terminations[:].tolist() == recording.rows.dones.tolist() == [True, False, True, False]


def test_only_batches_with_an_exception_are_lists(tmp_path: Path) -> None:
    values: list[Any] = [pair(0), pair(1), np.zeros(3), pair(3), "text", pair(5)]
    write(tmp_path / "run.h5", values, spaces.Box(-9, 9, (2,), np.float64))
    column = h5r.Recording(tmp_path / "run.h5").rows.observations
    check_observations(tmp_path / "run.h5", values)
    assert isinstance(column[:2], np.ndarray)
    assert isinstance(column[3:4], np.ndarray)
    assert isinstance(column[1:4], list)
    assert identical(column[1:5], values[1:5])


def test_an_exception_deep_in_a_tree_makes_that_batch_a_list(tmp_path: Path) -> None:
    space = spaces.Dict(a=spaces.Discrete(3), b=spaces.Tuple((spaces.Discrete(3), spaces.Box(0, 1, (2,), np.float32))))
    good = {"a": np.int64(1), "b": (np.int64(2), np.zeros(2, np.float32))}
    odd = {"a": np.int64(1), "b": (np.int64(2), np.zeros(3, np.float32))}
    other = {"a": 1}
    write(tmp_path / "run.h5", [good, odd, good, other, good], space)
    check_observations(tmp_path / "run.h5", [good, odd, good, other, good])
    column = h5r.Recording(tmp_path / "run.h5").rows.observations
    assert isinstance(column[:1], dict)
    assert column[:1]["b"][1].shape == (1, 2)
    assert isinstance(column[:2], list)
    assert isinstance(column[2:4], list)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("size", [4, 64, 100], ids=["small", "compressed-items", "large-items"])
@pytest.mark.parametrize("stack", [False, True], ids=["", "stacked"])
def test_sequences_may_be_empty_anywhere(stack: bool, size: int, tmp_path: Path) -> None:
    item = spaces.Box(0, 255, (size, size), np.uint8)
    for number, lengths in enumerate(([0, 2, 0], [2, 0, 1], [0, 0, 0], [1], [0], [3, 0])):
        batches = [np.full((length, size, size), length, np.uint8) for length in lengths]
        values = batches if stack else [tuple(batch) for batch in batches]
        write(tmp_path / f"{number}.h5", values, spaces.Sequence(item, stack=stack))
        check_observations(tmp_path / f"{number}.h5", values)


def test_graphs_may_be_without_nodes_and_edges(tmp_path: Path) -> None:
    space = spaces.Graph(spaces.Box(0, 255, (80, 80), np.uint8), spaces.Box(-1, 1, (2,), np.float32))
    nodes, edges = np.ones((2, 80, 80), np.uint8), np.ones((1, 2), np.float32)
    links = np.array([[0, 1]], np.int32)
    values = [
        spaces.GraphInstance(nodes[:0], None, None),
        spaces.GraphInstance(nodes, edges, links),
        spaces.GraphInstance(nodes, None, None),
        spaces.GraphInstance(nodes[:1], edges[:0], links[:0]),
        spaces.GraphInstance(nodes[:0], None, None),
    ]
    write(tmp_path / "run.h5", values, space)
    check_observations(tmp_path / "run.h5", values)


# Infos -------------------------------------------------------------------------------------------


def test_infos_are_whole_whatever_their_keys_do(tmp_path: Path) -> None:
    played = record(tmp_path / "run.h5", ZooEnv(spaces.Discrete(3), length=20, infos=passing_infos), [20, 20])
    recording = h5r.Recording(tmp_path / "run.h5")
    expected = [info for each in played for info in each.infos]
    assert len(recording.rows.infos) == len(expected)
    for row in (41, 0, 40, 7, 8, *range(42)):
        assert identical(recording.rows.infos[row], expected[row])
    assert identical(recording.rows.infos[3:9], expected[3:9])


@pytest.mark.parametrize("info", [None, [], "text", 5, {}, {"": {}}, {"json": 1, "values": 2}], ids=repr)
def test_infos_of_any_kind_come_back(info: Any, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", make_schema(infos=[{"x": 1}])) as pen:
        pen.begin(pair(0), {"x": 1})
        pen.rows.put_action(0)
        pen.rows.put_step(pair(1), 1.0, False, False, info, None)
        pen.step(pair(2), info={"x": 2})
    assert identical(h5r.Recording(tmp_path / "run.h5").rows.infos[:], [{"x": 1}, info, {"x": 2}])


def test_what_had_no_exact_form_comes_back_as_text_that_says_so(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen, pytest.warns(RecordingWarning, match="object"):
        pen.begin(pair(0), {"path": Path("/x"), "x": 1})
    info = h5r.Recording(tmp_path / "run.h5").rows.infos[0]
    assert info == {"path": repr(Path("/x")), "x": 1}
    assert type(info["path"]) is TaggedText


# Damage ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with a bit of everything."""
    path = tmp_path_factory.mktemp("decode") / "run.h5"
    space = spaces.Dict(number=spaces.Discrete(3), text=spaces.Text(5), choice=spaces.OneOf([spaces.Discrete(2)]))
    values = samples(space, 5)
    schema = make_schema(space, infos=[{"x": 1}], extras=[{"value": 1.0}])
    with Pen(path, schema) as pen, warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        pen.begin(values[0], {"x": 1, "more": "text"}, options={"a": 1})
        for value in values[1:]:
            extras = {"value": 0.5, "prompt": "text"}
            pen.step(value, reward="odd", info={"x": 2, "more": "text"}, extras=extras)
    return path


def read_all(path: Path) -> None:
    recording = h5r.Recording(path)
    for episode in recording.episodes:
        steps = (episode.actions, episode.rewards, episode.terminations, episode.extras)
        for column in (episode.observations, episode.infos, episode.times, *steps):
            for row in range(len(column)):
                column[row]
            column[:]
        episode.options  # noqa: B018  # reads


def test_the_file_that_is_damaged_below_is_whole(whole: Path) -> None:
    read_all(whole)


@pytest.mark.parametrize(
    ("name", "row", "value"),
    [
        ("types", 2, 99),
        ("types", 2, 16 + 12),
        ("types", 2, 1),
        ("types", 2, 255),
        ("infos/json/ends", 3, 10**9),
        ("infos/json/values", 0, ord("!")),
        ("extras/json/ends", 2, 10**9),
        ("extras/json/values", 0, ord("!")),
        ("exceptions/values", 0, ord("!")),
        ("exceptions/ends", 2, 10**12),
        ("observations/text/ends", 2, 10**9),
        ("observations/text/values", 2, 0xFF),
        ("observations/choice/index", 2, 7),
        ("observations/choice/index", 2, -3),
        ("observations/choice/0/ends", 2, 10**9),
        ("episodes/starts", 0, 10**9),
        ("episodes/starts", 0, -1),
        ("episodes/lengths", 0, 5),
        ("episodes/lengths", 0, -1),
        ("episodes/json/ends", 0, 10**9),
        ("episodes/json/values", 0, ord("!")),
        ("commit", 1, 7),
        ("commit", 1, 2),
        ("commit", 0, -1),
    ],
    ids=lambda value: str(value).replace("/", "-"),
)
def test_numbers_that_contradict_the_format_are_corruption(
    name: str, row: int, value: int, whole: Path, tmp_path: Path
) -> None:
    shutil.copy(whole, tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file[name][row] = value
    with pytest.raises(CorruptRecordingError):
        read_all(tmp_path / "run.h5")


@pytest.mark.parametrize(
    "name",
    [
        *(
            "observations",
            "observations/text",
            "observations/text/ends",
            "observations/number",
            "actions",
            "terminations",
        ),
        *("types", "exceptions", "infos/x", "infos/json/values", "episodes", "episodes/json", "commit", "metadata"),
        *("extras/value", "extras/json", "extras/json/ends", "times"),
    ],
    ids=lambda name: name.replace("/", "-"),
)
def test_a_missing_part_is_corruption_with_its_name(name: str, whole: Path, tmp_path: Path) -> None:
    shutil.copy(whole, tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        del file[name]
    with pytest.raises(CorruptRecordingError, match=name.rpartition("/")[2]):
        read_all(tmp_path / "run.h5")


SHORT = ["observations/number", "terminations", "types", "infos/json/ends", "exceptions/ends", "extras/value", "times"]


@pytest.mark.parametrize("name", SHORT)
def test_a_column_shorter_than_the_commit_says_is_corruption(name: str, whole: Path, tmp_path: Path) -> None:
    shutil.copy(whole, tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file[name].resize(3, axis=0)
    with pytest.raises(CorruptRecordingError):
        read_all(tmp_path / "run.h5")


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with all of its metadata; do not change it."""
    path = tmp_path_factory.mktemp("described") / "run.h5"
    record(path, ZooEnv(spaces.Discrete(3)), [3])
    return path


@pytest.mark.parametrize("attribute", ["schema", "observation_space", "action_space", "user", "versions"])
@pytest.mark.parametrize("text", [None, "", "{", "[]", "5"], ids=repr)
def test_damaged_metadata_is_one_of_our_errors_or_no_matter(
    attribute: str, text: str | None, described: Path, tmp_path: Path
) -> None:
    shutil.copy(described, tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        del file["metadata"].attrs[attribute]
        if text is not None:
            file["metadata"].attrs[attribute] = text
    try:
        recording = h5r.Recording(tmp_path / "run.h5")
        recording.observation_space, recording.action_space, recording.metadata, recording.env_spec  # noqa: B018
        read_all(tmp_path / "run.h5")
    except RecordingError:
        return
    assert attribute not in ("schema", "observation_space", "action_space")


def test_a_pickled_decoder_still_checks_what_the_datasets_hold(tmp_path: Path) -> None:
    path = write(tmp_path / "run.h5", [np.int64(1), np.int64(2)], spaces.Discrete(3))
    with h5r.Recording(path) as recording:
        twin = pickle.dumps(recording[0].observations)
    assert pickle.loads(twin)[1] == 2
    with h5py.File(path, "r+") as file:
        del file["observations"]
        file["observations"] = np.zeros((2, 3), np.float32)
    with pytest.raises(CorruptRecordingError, match=r"/observations has items of float32\(3,\), the schema says int64"):
        pickle.loads(twin)[1]
