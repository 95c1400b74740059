"""The open file: what it says about itself, once read, and its masks."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import schema_json
from gym_h5record.reading import recorded_file
from tests.reading import record
from tests.zoo import ZooEnv


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Five episodes, of which two masks name some."""
    record(tmp_path / "run.h5", ZooEnv(spaces.Discrete(9)), [1] * 5)
    h5r.add_mask(tmp_path / "run.h5", "train", [0, 1, 4])
    h5r.add_mask(tmp_path / "run.h5", "none", [])
    return tmp_path / "run.h5"


def test_a_schema_that_cannot_be_read_is_parsed_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(path, "r+") as file:
        file["metadata"].attrs["schema"] = "{}"
    parsed: list[str] = []
    monkeypatch.setattr(
        recorded_file, "schema_from_json", lambda text: (parsed.append(text), schema_json.schema_from_json(text))[1]
    )
    with h5r.Recording(path) as recording:
        for _ in range(3):
            with pytest.raises(CorruptRecordingError, match="schema in /metadata cannot be read"):
                _ = recording.schema
    assert parsed == ["{}"]


def masks(path: Path) -> dict[str, list[int]]:
    with h5r.Recording(path) as recording:
        return {name: numbers.tolist() for name, numbers in recording.masks.items()}


def test_masks_are_numbers_of_episodes_by_name(path: Path) -> None:
    assert masks(path) == {"train": [0, 1, 4], "none": []}
    with h5r.Recording(path) as recording:
        assert {numbers.dtype for numbers in recording.masks.values()} == {np.dtype(np.int64)}
        recording.masks["train"][:] = 9
        assert recording.masks["train"].tolist() == [0, 1, 4]


def test_a_dataset_that_is_not_listed_is_no_mask(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["masks/mine"] = np.arange(3)
        file["masks/other"] = h5py.ExternalLink("elsewhere.h5", "/x")
    assert masks(path) == {"train": [0, 1, 4], "none": []}


def _rewritten(numbers: object, dtype: object = np.int64) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["masks/train"]
        data = np.array(numbers, dtype)
        file.create_dataset("masks/train", data=data, maxshape=(None, *data.shape[1:]), chunks=(2, *data.shape[1:]))

    return change


def _linked(file: h5py.File) -> None:
    del file["masks/train"]
    file["masks/train"] = h5py.SoftLink("/episodes/ids")


def _named(text: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file["metadata"].attrs["mask_names"] = text

    return change


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_rewritten([0, 5]), "names episode 5, there are 5 episodes"),
        (_rewritten([-1]), "names episode -1"),
        (_rewritten([3, 1]), "rising order"),
        (_rewritten([1, 1]), "rising order"),
        (_rewritten(np.arange(6) % 5), "has 6 numbers, there are 5 episodes"),
        (_rewritten([0, 1], np.float64), r"the schema says int64"),
        (_rewritten([[0, 1]]), r"the schema says int64\(\)"),
        (_linked, "soft or external link"),
        (_named('["train", "gone"]'), "/masks/gone"),
        (_named('["train", "train"]'), "twice"),
        (_named('["../episodes/ids"]'), "names of masks"),
        (_named("{}"), "names of masks"),
        (_named("nothing"), "mask_names cannot be read"),
    ],
    ids=[
        "behind",
        "before",
        "falling",
        "twice",
        "many",
        "floats",
        "table",
        "link",
        "gone",
        "same",
        "up",
        "dict",
        "text",
    ],
)
def test_masks_that_cannot_be_are_corruption_and_the_rest_can_be_read(
    change: Callable[[h5py.File], None], message: str, path: Path
) -> None:
    with h5py.File(path, "r+") as file:
        change(file)
    with h5r.Recording(path) as recording:
        with pytest.raises(CorruptRecordingError, match=message):
            _ = recording.masks
        assert recording.metadata["total_episodes"] == 5
        assert recording.select("length == 1 and number > 2").numbers.tolist() == [3, 4]
        assert recording[0].observations[:].shape == (2,)


def test_what_is_parsed_in_the_metadata(path: Path) -> None:
    with h5r.Recording(path) as recording:
        metadata = recording.metadata
        assert metadata["observation_space"]["type"] == "Discrete"
        assert metadata["compression"] == ["gzip", None]
        assert metadata["env_spec"] is None
        assert metadata["mask_names"] == ["train", "none"]
        assert type(metadata["schema"]) is dict
        assert type(metadata["created_at"]) is str


def test_a_text_that_is_no_json_is_shown_as_it_is_and_hides_nothing(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["metadata"].attrs["observation_space"] = "{oh"
    with h5r.Recording(path) as recording:
        assert recording.metadata["observation_space"] == "{oh"
        assert recording.metadata["total_steps"] == 5


def test_it_opens_the_file_anew_after_pickling(path: Path) -> None:
    with h5r.Recording(path) as recording:
        twin = pickle.loads(pickle.dumps(recording.select("train")))
    assert twin.numbers.tolist() == [0, 1, 4]
    assert twin.masks["train"].tolist() == [0, 1, 4]
    twin.close()
