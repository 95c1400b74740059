"""Metadata of two recordings that differs is told in sentences, and is no difference."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import h5py
import numpy as np
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.maintenance.comparing_metadata import metadata_differences
from tests.maintenance.scripted import make
from tests.maintenance.validation import record
from tests.zoo import ZooEnv


def test_metadata_that_differs_is_told_but_is_no_difference(script: Path, tmp_path: Path) -> None:
    path = make(tmp_path / "b.h5", metadata={"run": 2, "agent_id": "x", "new": 1})
    with h5py.File(path, "r+") as file:
        attributes = file["metadata"].attrs
        attributes["versions"] = attributes["versions"].replace('"numpy": "', '"numpy": "9')
        attributes["created_at"] = "1999"
    report = h5r.diff(script, path)
    assert report.ok
    numpy = np.__version__
    assert report.metadata == (
        "agent_id: '' in a.h5, 'x' in b.h5",
        "metadata/new: nothing in a.h5, 1 in b.h5",
        "metadata/run: 1 in a.h5, 2 in b.h5",
        f"versions/numpy: '{numpy}' in a.h5, '9{numpy}' in b.h5",
    )


def test_spec_and_spaces_that_differ_are_told(tmp_path: Path) -> None:
    paths = []
    for name, env in (("a.h5", gym.make("FrozenLake-v1")), ("b.h5", gym.make("FrozenLake-v1", map_name="8x8"))):
        recorder = h5r.RecordToHDF5(env, tmp_path / name, writer="inline")
        recorder.reset(seed=0)
        recorder.close()
        paths.append(tmp_path / name)
    report = h5r.diff(*paths)
    assert "observation_space: Discrete(16) in a.h5, Discrete(64) in b.h5" in report.metadata
    assert "env_spec/kwargs/map_name: '4x4' in a.h5, '8x8' in b.h5" in report.metadata


def differences(first: Path, second: Path) -> list[str]:
    with h5r.Recording(first) as one, h5r.Recording(second) as other:
        return list(metadata_differences(one, other, ("here", "there")))


def test_what_differs_between_any_two_recordings_is_not_told(script: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "b.h5", lengths=(2,), compression="lz4")
    assert differences(script, other) == []


def test_frames_per_second_that_differ_are_told(script: Path, tmp_path: Path) -> None:
    path = make(tmp_path / "b.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["fps"] = 25.0
    assert differences(script, path) == ["fps: 10.0 here, 25.0 there"]


def test_spaces_that_look_the_same_when_they_are_shortened_are_said_to_differ(tmp_path: Path) -> None:
    paths = []
    for choices in (2, 3):
        space = spaces.MultiDiscrete([2] * 50 + [choices] + [2] * 50)
        paths.append(record(tmp_path / f"{choices}.h5", ZooEnv(space), (1,)))
    sentence = differences(*paths)[0]
    assert sentence.startswith("observation_space: MultiDiscrete([2 2 ")
    assert sentence.endswith(" (the difference is in a part that is not shown)")


def test_text_from_a_file_does_not_drive_the_terminal(tmp_path: Path) -> None:
    paths = [make(tmp_path / f"{k}.h5", lengths=(1,), metadata={"\x1b[31m": f"\x1b{k}"}) for k in range(2)]
    (sentence,) = differences(*paths)
    assert "\x1b" not in sentence
