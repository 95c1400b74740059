"""Many steps at once: the rows are those that one step after the other gives, or the batch is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gym_h5record.errors import RecordingWarning
from gym_h5record.format.schema import Schema
from gym_h5record.writing.step_batch import Steps, plan_batch
from tests.properties.strategies import PROFILE
from tests.writing import (
    MOMENT_NS,
    PICTURE,
    Pen,
    check_same_content,
    committed,
    each_writer,
    make_schema,
    small_journal,
)
from tests.zoo import DTYPES, NAN_WITH_PAYLOAD

COUNT = 150  # steps of a batch: more than the small rings have rows

TREE = spaces.Dict(
    a=spaces.Box(-1, 1, (2, 3), np.float32),
    b=spaces.Tuple((spaces.Discrete(9), spaces.MultiBinary(3), spaces.Dict(c=spaces.Box(0, 1, (2, 0), np.float32)))),
)


def numbers(size: int = COUNT, dtype: Any = np.float64) -> np.ndarray:
    return (np.arange(size) % 100).astype(dtype)


def steps(schema: Schema, **more: Any) -> Steps:
    """Steps that fit ``make_schema()``, but for what is given."""
    size = len(more.get("rewards", numbers()))
    given = {
        "actions": numbers(size, np.int64) % 4,
        "rewards": numbers(size),
        "terminations": np.zeros(size, np.bool_),
        "truncations": np.zeros(size, np.bool_),
        "extras": {},
        "observations": np.stack([numbers(size), -numbers(size)], 1),
        "infos": {},
        "frames": None,
        "times_ns": MOMENT_NS * np.arange(1, size + 1),
        **more,
    }
    return Steps(**given)


def entry(values: Any, index: int) -> Any:
    """The entry of every array or list in a tree."""
    if type(values) is dict:
        return {key: entry(each, index) for key, each in values.items()}
    if type(values) is tuple:
        return tuple(entry(each, index) for each in values)
    return values[index]


def write_one_by_one(pen: Pen, given: Steps) -> None:
    for index in range(len(given.terminations)):
        pen.step(
            entry(given.observations, index),
            action=entry(given.actions, index),
            reward=entry(given.rewards, index),
            terminated=given.terminations[index],
            truncated=given.truncations[index],
            info=entry(given.infos, index),
            frame=None if given.frames is None else entry(given.frames, index),
            extras=entry(given.extras, index),
        )


def write(path: Path, schema: Schema, given: Steps, how: Callable[[Pen, Steps], None], **options: Any) -> Any:
    """An episode whose first row and first step are the entries 0 of the steps, and which goes on with all steps."""
    first = [entry(each, 0) for each in (given.observations, given.infos)]
    frame = None if given.frames is None else entry(given.frames, 0)
    with Pen(path, schema, **options) as pen:
        for _ in range(2):  # the second batch does not begin at the first slot of the ring
            times = count(pen.session.began_ns, MOMENT_NS)  # those of ``steps``
            pen._next_time_ns = times.__next__  # type: ignore[method-assign]
            pen.begin(first[0], first[1], frame=frame)
            how(pen, given)
    return committed(path)


def write_batch(pen: Pen, given: Steps) -> None:
    batch = plan_batch(pen.schema, given)
    assert batch is not None
    pen.rows.put_batch(batch)


def check_batch(schema: Schema, given: Steps, folder: Path, **options: Any) -> None:
    """Fail unless a batch gives the rows that its steps give one by one."""
    found = write(folder / "batch.h5", schema, given, write_batch, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = write(folder / "steps.h5", schema, given, write_one_by_one, **options)
    check_same_content(found, expected)


def repeated(space: Any, size: int = COUNT) -> Any:
    """Arrays of so many samples of a space, as a tree."""
    space.seed(5)
    samples = [space.sample() for _ in range(size)]

    def stacked(values: list[Any]) -> Any:
        if isinstance(values[0], dict):
            return {key: stacked([each[key] for each in values]) for key in values[0]}
        if isinstance(values[0], tuple):
            return tuple(stacked(list(each)) for each in zip(*values, strict=True))
        return np.stack(values)

    return stacked(samples)


# What fits ----------------------------------------------------------------------------------------

OBSERVATIONS = {
    "floats": spaces.Box(-1, 1, (3,), np.float32),
    "pictures": PICTURE,
    "no-elements": spaces.Box(0, 1, (2, 0), np.float32),
    "discrete": spaces.Discrete(7, start=-3),
    "multi-discrete": spaces.MultiDiscrete([[3, 4], [2, 2]]),
    "multi-binary": spaces.MultiBinary(4),
    "tree": TREE,
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("space", OBSERVATIONS.values(), ids=OBSERVATIONS.keys())
@pytest.mark.parametrize("ring_rows", [16, 4096])
def test_observations_and_actions_are_those_of_single_steps(
    ring_rows: int, space: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, ring_rows, max_bytes=4 << 20)
    schema = make_schema(space, space)
    given = steps(schema, observations=repeated(space), actions=repeated(space))
    check_batch(schema, given, tmp_path)


@each_writer
def test_frames_infos_and_extras_are_those_of_single_steps(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 32, max_bytes=4 << 20)
    info = {"x": 1.5, "lives": 3, "array": np.zeros((2, 2), np.int16), "only later": 1.0}
    extras = {"log_prob": np.float32(0), "logits": np.zeros(4), "unknown": 1.0}
    schema = make_schema(infos=[info], extras=[extras], frame=np.zeros((8, 6, 3), np.uint8))
    given = steps(
        schema,
        frames=repeated(spaces.Box(0, 255, (8, 6, 3), np.uint8)),
        infos={"x": numbers(), "lives": numbers(dtype=np.int64), "array": np.ones((COUNT, 2, 2), np.int16)},
        extras={"log_prob": numbers(dtype=np.float32), "logits": np.ones((COUNT, 4))},
    )
    check_batch(schema, given, tmp_path, writer=writer)


@pytest.mark.parametrize("name", ["terminations", "truncations"])
def test_the_last_step_may_end_the_episode(name: str, tmp_path: Path) -> None:
    flags = np.arange(COUNT) == COUNT - 1
    check_batch(make_schema(), steps(make_schema(), **{name: flags}), tmp_path)


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17])
def test_a_batch_may_have_any_number_of_steps(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_journal(monkeypatch, 16)
    check_batch(make_schema(), steps(make_schema(), rewards=numbers(size)), tmp_path)


def test_a_recording_without_times_and_infos_gets_none(tmp_path: Path) -> None:
    schema = make_schema(infos=None, times=False)
    check_batch(schema, steps(schema, infos={"x": numbers()}), tmp_path)


def test_rewards_may_be_arrays(tmp_path: Path) -> None:
    schema = make_schema(reward=np.zeros(2))
    check_batch(schema, steps(schema, rewards=np.stack([numbers(), numbers()], 1)), tmp_path)


@pytest.mark.parametrize("dtype", [each for each in DTYPES if np.dtype(each).kind in "fb"])
def test_numbers_of_other_types_that_the_column_holds_come_back_as_such(dtype: Any, tmp_path: Path) -> None:
    check_batch(make_schema(), steps(make_schema(), rewards=numbers(dtype=dtype)), tmp_path)


@pytest.mark.parametrize("kind", [float, int, bool])
def test_lists_of_numbers_of_python_come_back_as_such(kind: type, tmp_path: Path) -> None:
    values = [kind(number) for number in range(COUNT)]
    name, schema = ("rewards", make_schema()) if kind is float else ("actions", make_schema())
    check_batch(schema, steps(schema, **{name: values}), tmp_path)


def test_the_bits_of_floats_are_kept(tmp_path: Path) -> None:
    odd = [NAN_WITH_PAYLOAD, -0.0, float("inf"), 5e-324]
    rewards = np.array(odd * 10)
    check_batch(make_schema(), steps(make_schema(), rewards=rewards), tmp_path)
    (tmp_path / "lists").mkdir()
    check_batch(make_schema(), steps(make_schema(), rewards=odd * 10), tmp_path / "lists")


# What does not fit --------------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "text": ({"action": spaces.Text(9)}, {"actions": ["text"] * COUNT}),
    "sequence": ({"action": spaces.Sequence(spaces.Discrete(3))}, {"actions": [()] * COUNT}),
    "choice": ({"action": spaces.OneOf([spaces.Discrete(3)])}, {"actions": [(0, 1)] * COUNT}),
    "info-without-a-column": ({}, {"infos": {"x": numbers()}}),
    "extra-without-a-column": ({"extras": [{"x": 1.5}]}, {"extras": {"x": numbers(), "y": numbers()}}),
    "dtype": ({}, {"observations": np.zeros((COUNT, 2), np.float32)}),
    "byte-order": ({}, {"observations": np.zeros((COUNT, 2), ">f8")}),
    "shape": ({}, {"observations": np.zeros((COUNT, 3))}),
    "list-of-arrays": ({}, {"observations": [np.zeros(2)] * COUNT}),
    "rank-0": ({"observation": spaces.Box(-1, 1, (), np.float64)}, {"observations": numbers()}),
    "masked": ({}, {"observations": np.ma.zeros((COUNT, 2))}),
    "integers-for-floats": ({}, {"rewards": numbers(dtype=np.int64)}),
    "ints-for-floats": ({}, {"rewards": list(range(COUNT))}),
    "floats-for-integers": ({}, {"actions": numbers()}),
    "uint64-for-int64": ({}, {"actions": numbers(dtype=np.uint64)}),
    "long-double": ({}, {"rewards": numbers(dtype=np.longdouble)}),
    "objects": ({}, {"rewards": numbers().astype(object)}),
    "several-types": ({}, {"rewards": [1.5] * (COUNT - 1) + [True]}),
    "numpy-in-a-list": ({}, {"rewards": [np.float64(1.5)] * COUNT}),
    "large-ints": ({}, {"actions": [2**63] * COUNT}),
    "nan-of-float32": ({}, {"rewards": np.full(COUNT, np.nan, np.float32)}),
    "arrays-for-numbers": ({}, {"rewards": np.zeros((COUNT, 1))}),
    "other-keys": ({"observation": TREE}, {"observations": {"a": np.zeros((COUNT, 2, 3), np.float32)}}),
    "dicts": ({"observation": TREE}, {"observations": [{}] * COUNT}),
    "too-few-parts": (
        {"observation": spaces.Tuple((spaces.Discrete(3), spaces.Discrete(3)))},
        {"observations": (numbers(dtype=np.int64),)},
    ),
    "frames-of-another-size": (
        {"frame": np.zeros((4, 4, 3), np.uint8)},
        {"frames": np.zeros((COUNT, 4, 5, 3), np.uint8)},
    ),
}


@pytest.mark.parametrize(("planned", "given"), REFUSED.values(), ids=REFUSED.keys())
def test_a_batch_with_values_that_need_rows_of_their_own_is_refused(
    planned: dict[str, Any], given: dict[str, Any]
) -> None:
    schema = make_schema(**planned)
    assert plan_batch(schema, steps(schema, **given)) is None


# Any ----------------------------------------------------------------------------------------------

leaves = st.sampled_from(
    [
        spaces.Box(-1, 1, (3,), np.float32),
        spaces.Box(0, 255, (2, 2), np.uint8),
        spaces.Discrete(5, start=-1),
        spaces.Discrete(3, dtype=np.uint8),
        spaces.MultiDiscrete([3, 4]),
        spaces.MultiBinary([2, 2]),
        spaces.Box(0, 255, (60, 50), np.uint8),
    ]
)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3).map(spaces.Tuple)
        | st.dictionaries(st.sampled_from(["a", "b/c", ""]), inner, max_size=3).map(spaces.Dict)
    ),
    max_leaves=5,
)


@pytest.mark.long
@settings(PROFILE, max_examples=10, phases=[Phase.explicit, Phase.generate])
@given(trees, trees, st.lists(st.integers(1, 40), min_size=1, max_size=4), st.sampled_from([8, 16, 64]))
def test_batches_of_any_trees_are_those_of_single_steps(
    tmp_path_factory: pytest.TempPathFactory, observation: Any, action: Any, counts: list[int], ring_rows: int
) -> None:
    schema, folder = make_schema(observation, action), tmp_path_factory.mktemp("any")
    total = sum(counts)
    given = steps(
        schema, rewards=numbers(total), observations=repeated(observation, total), actions=repeated(action, total)
    )

    def write_batches(pen: Pen, whole: Steps) -> None:
        at = 0
        for size in counts:
            part = slice(at, at + size)
            at += size
            write_batch(pen, Steps(**{name: cut(getattr(whole, name), part) for name in Steps.__dataclass_fields__}))

    def cut(values: Any, part: slice) -> Any:
        return None if values is None else entry(values, part)  # type: ignore[arg-type]  # a slice of each

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        small_journal(patch, ring_rows, max_bytes=4 << 20)
        found = write(folder / "batch.h5", schema, given, write_batches)
        check_same_content(found, write(folder / "steps.h5", schema, given, write_one_by_one))
