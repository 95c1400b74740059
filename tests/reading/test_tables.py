"""``to_pandas`` and ``to_arrow``: names, dtypes and missing values of the tables of steps."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import MissingDependencyError, OptionError, RecordingWarning
from gym_h5record.reading.tables import Tabular
from tests.reading import NESTED, record
from tests.writing import Pen, make_schema, pair
from tests.zoo import DTYPES, ZooEnv

pd: Any = pytest.importorskip("pandas")
pa: Any = pytest.importorskip("pyarrow")

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=[dtype.__name__ for dtype in DTYPES])
each_way = pytest.mark.parametrize(
    ("way", "library"), [("pandas", "pandas"), ("arrow", "pyarrow")], ids=["pandas", "arrow"]
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes of 20, 3, 0 and 20 steps; do not change the file."""
    path = tmp_path_factory.mktemp("tables") / "run.h5"
    infos = lambda step: {"step": step, **({"odd": step} if step % 2 else {})}  # noqa: E731
    record(path, ZooEnv(NESTED, rewards=(0.5, 2.0), length=20, infos=infos))
    return path


def write_extras(path: Path, values: list[dict[str, Any]], first: dict[str, Any] | None = None) -> Path:
    """A recording of one episode with these extras; ``first`` fixes their columns."""
    with Pen(path, make_schema(extras=[values[0] if first is None else first])) as pen:
        pen.begin(pair(0))
        for number, each in enumerate(values):
            pen.step(pair(number), extras=each)
    return path


# Which steps --------------------------------------------------------------------------------------


def test_all_that_have_steps_give_tables_of_them(path: Path) -> None:
    with h5r.Recording(path) as recording:
        whole = recording.to_pandas()
        assert whole.equals(recording.steps.to_pandas())
        assert recording.to_arrow().equals(recording.steps.to_arrow())
        assert len(whole) == recording.num_steps == 43
        for number, episode in enumerate(recording):
            part = whole[whole["episode"] == number].reset_index(drop=True)
            assert len(part) == len(episode.to_pandas()) == episode.to_arrow().num_rows == episode.length
            assert [*episode.to_pandas()["step"]] == [*range(episode.length)]
            assert [*part["rewards"]] == [*episode.rewards] == [*episode.to_pandas()["rewards"]]
        some = recording[[3, 1]]
        assert [*some.to_pandas()["episode"]] == [*some.to_arrow()["episode"].to_pylist()] == [3] * 20 + [1] * 3


def test_steps_of_a_running_episode_are_in_the_table_of_a_live_recording(tmp_path: Path) -> None:
    with Pen(tmp_path / "live.h5") as pen:
        pen.begin(pair(0))
        for number in range(4):
            pen.step(pair(number))
        pen.flush()
        with h5r.Recording(tmp_path / "live.h5", live=True) as recording:
            assert recording.num_episodes == 0
            assert [*recording.to_pandas()["step"]] == [0, 1, 2, 3]


# pandas -------------------------------------------------------------------------------------------


def test_columns_are_named_by_path_and_element(path: Path) -> None:
    with h5r.Recording(path) as recording:
        frame = recording.to_pandas()
    trees = [f"{root}/pair/{leaf}" for root in ("observations", "actions") for leaf in ("0", "1_0", "1_1")]
    flags = ["rewards", "terminations", "truncations", "dones", "times"]
    assert [*frame.columns] == ["episode", "step", *trees, *flags, "infos/step", "infos/odd"][: len(frame.columns)]
    assert frame.attrs["left_out"]["observations/picture"] == "arrays (84, 84) of uint8: more than 64 elements"


def test_elements_of_several_axes_have_all_their_numbers(tmp_path: Path) -> None:
    space = spaces.Box(-1, 1, (2, 3), np.float32)
    record(tmp_path / "run.h5", ZooEnv(space, spaces.Discrete(2)), (4,))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        frame = recording.to_pandas()
        for row, observation in enumerate(recording.steps.observations):
            for index in np.ndindex(2, 3):
                assert frame["_".join(["observations", *map(str, index)])][row] == observation[index]


def test_a_name_that_another_column_has_gets_one_more_underscore(tmp_path: Path) -> None:
    space = spaces.Dict({"a": spaces.MultiBinary(2), "a_0": spaces.Discrete(9), "a__1": spaces.Discrete(9)})
    record(tmp_path / "run.h5", ZooEnv(space, spaces.Discrete(2)), (4,))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        frame = recording.to_pandas()
        names = [name for name in frame.columns if name.startswith("observations")]
        assert names == [f"observations/{name}" for name in ("a___0", "a___1", "a_0", "a__1")]
        assert [*frame["observations/a_0"]] == [each["a_0"] for each in recording.steps.observations]
        assert [*frame["observations/a___1"]] == [each["a"][1] for each in recording.steps.observations]


@pytest.mark.sampled(5)
@each_dtype
def test_dtypes_are_exact(dtype: Any, tmp_path: Path) -> None:
    values = [{"one": np.array(each, dtype)[()], "two": np.array([each, 0], dtype)} for each in (1, 0)]
    with h5r.Recording(write_extras(tmp_path / "run.h5", values)) as recording:
        frame, table = recording.to_pandas(), recording.to_arrow()
    arrow_type = pa.from_numpy_dtype(np.dtype(dtype))
    assert {frame[f"extras/{name}"].dtype for name in ("one", "two_0", "two_1")} == {np.dtype(dtype)}
    assert [*frame["extras/one"]] == [*frame["extras/two_0"]] == [1, 0]
    assert table.schema.field("extras/one").type == arrow_type
    assert table.schema.field("extras/two").type == pa.list_(arrow_type, 2)
    assert table["extras/two"].to_pylist() == [[1, 0], [0, 0]]


@each_dtype
def test_missing_values_are_na_in_the_nullable_dtype(dtype: Any, tmp_path: Path) -> None:
    first = {"one": np.array(1, dtype)[()], "two": np.array([1, 0], dtype)}
    with h5r.Recording(write_extras(tmp_path / "run.h5", [{}, first, {}], first)) as recording:
        frame, table = recording.to_pandas(), recording.to_arrow()
    names = {"bool": "boolean", "float16": "Float32"}
    expected = names.get(dtype.__name__, dtype.__name__.replace("int", "Int").replace("uI", "UI").replace("fl", "Fl"))
    expected = "boolean" if np.dtype(dtype).kind == "b" else expected
    for name in ("extras/one", "extras/two_0", "extras/two_1"):
        assert str(frame[name].dtype) == expected
        assert [*frame[name].isna()] == [True, False, True]
        assert frame[name][0] is pd.NA
    assert [frame["extras/one"][1], frame["extras/two_1"][1]] == [1, 0]
    assert table["extras/one"].to_pylist() == [None, 1, None]
    assert table["extras/two"].to_pylist() == [None, [1, 0], None]
    assert table.schema.field("extras/one").type == pa.from_numpy_dtype(np.dtype(dtype))


def test_nan_is_no_missing_value(tmp_path: Path) -> None:
    values: list[dict[str, Any]] = [{"value": float("nan")}, {}, {"value": 1.5}]
    with h5r.Recording(write_extras(tmp_path / "run.h5", values)) as recording:
        frame, table = recording.to_pandas(), recording.to_arrow()
    assert table["extras/value"].is_null().to_pylist() == [False, True, False]
    assert frame["extras/value"].array._mask.tolist() == [False, True, False]


def test_frames_of_pandas_belong_to_the_caller(path: Path) -> None:
    with h5r.Recording(path) as recording:
        frame = recording.to_pandas()
        frame.loc[:, "rewards"] = -1.0
        assert recording.to_pandas()["rewards"][0] == 0.5


# Arrow --------------------------------------------------------------------------------------------


def test_arrays_are_lists_of_fixed_size(tmp_path: Path) -> None:
    space = spaces.Box(-1, 1, (2, 3), np.float32)
    record(tmp_path / "run.h5", ZooEnv(space, spaces.Discrete(2)), (4, 2))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        table = recording.to_arrow()
        table.validate(full=True)
        assert table.schema.field("observations").type == pa.list_(pa.list_(pa.float32(), 3), 2)
        wanted = [each.tolist() for each in recording.steps.observations]
        assert table["observations"].to_pylist() == wanted
        assert recording[:0].to_arrow().schema.equals(table.schema)


def test_metadata_says_what_is_left_out(path: Path) -> None:
    with h5r.Recording(path) as recording:
        left_out = json.loads(recording.to_arrow().schema.metadata[b"left_out"])
        assert left_out == recording.to_pandas().attrs["left_out"]
    assert "observations/text" in left_out


# What may go wrong --------------------------------------------------------------------------------


def test_values_that_do_not_fit_are_warned_of_at_the_line_of_the_user(tmp_path: Path) -> None:
    values: list[dict[str, Any]] = [{"lives": 3}, {"lives": "many"}]
    with (
        h5r.Recording(write_extras(tmp_path / "run.h5", values)) as recording,
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        frame = recording.to_pandas()
    assert [(each.category, each.filename) for each in caught] == [(RecordingWarning, __file__)]
    assert str(caught[0].message).endswith("missing in the table: extras/lives 1")
    assert frame["extras/lives"].isna().tolist() == [False, True]


@each_way
def test_a_library_that_is_not_installed_is_named_with_the_command(
    way: str, library: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with h5r.Recording(path) as recording:
        for each in (recording, recording[0], recording.steps, recording[1:]):
            expected = rf'to_{way} needs {library}.*pip install "gym_h5record\[{way}\]"'
            with pytest.raises(MissingDependencyError, match=expected):
                getattr(each, f"to_{way}")()


@pytest.mark.parametrize("value", [0, -1, True, 2.0, "64", None], ids=repr)
@each_way
def test_a_number_of_elements_is_a_positive_integer(way: str, library: str, value: Any, path: Path) -> None:
    with h5r.Recording(path) as recording, pytest.raises(OptionError, match="max_elements is a positive integer"):
        getattr(recording, f"to_{way}")(max_elements=value)


def test_reading_loads_neither_pandas_nor_pyarrow_nor_pillow() -> None:
    code = (
        "import sys; from gym_h5record import Recording; import gym_h5record.reading.thumbnails;"
        "import gym_h5record.reading.tables;"
        "print([name for name in ('pandas', 'pyarrow', 'PIL') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert shown.stdout.strip() == "[]"


def test_all_that_have_steps_are_tabular(path: Path) -> None:
    with h5r.Recording(path) as recording:
        assert all(isinstance(each, Tabular) for each in (recording, recording[1:], recording[0], recording.steps))
