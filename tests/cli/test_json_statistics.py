"""Statistics as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.cli.json_statistics import MAX_ELEMENTS, pooled_numbers, statistics_json
from gym_h5record.cli.output import json_value
from gym_h5record.training.leaf_statistics import of_array
from tests.media import record_observations


@pytest.mark.parametrize("shape", [(50,), (50, 3), (50, 4, 5)], ids=str)
def test_all_elements_of_a_leaf_together_are_one_sample(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).normal(3, 2, shape)
    values.flat[5] = np.nan
    finite = values[np.isfinite(values)]
    expected = {"mean": finite.mean(), "std": finite.std(), "min": finite.min(), "max": finite.max()}
    assert pooled_numbers(of_array("x", values)) == pytest.approx(expected)


def test_a_leaf_without_finite_values_has_no_numbers() -> None:
    assert all(np.isnan(each) for each in pooled_numbers(of_array("x", np.full((3, 2), np.nan))).values())


def test_it_has_every_leaf_and_every_episode(paintings: Path) -> None:
    with h5r.Recording(paintings) as recording:
        content = json.loads(json.dumps(json_value(statistics_json(recording.stats()))))
    assert (content["steps"], content["num_episodes"], content["incomplete_episodes"]) == (10, 2, 0)
    assert content["returns"]["mean"] == 8.5
    assert content["leaves"]["actions"]["histogram"] == {"0": 3, "1": 3, "2": 2, "3": 1, "4": 1}
    assert content["leaves"]["observations"]["mean"] == [2.4, 0.5]
    assert content["leaves"]["observations"]["quantiles"]["0.5"] == [2.0, 0.5]
    assert content["episodes"][1] == {
        "episode": 1,
        "return": 3.0,
        "length": 3,
        "complete": True,
        "success": None,
        "means": {"observations": [1.0, 0.5], "actions": 1.0, "rewards": 1.0, "infos/paint": 0.75},
    }


def test_large_arrays_are_told_as_a_whole(tmp_path: Path) -> None:
    with h5r.Recording(record_observations(tmp_path / "run.h5", (20, 30))) as recording:
        leaf = statistics_json(recording.stats())["leaves"]["observations"]
    assert MAX_ELEMENTS < 20 * 30
    assert (leaf["pooled"], leaf["mean"], leaf["max"], leaf["count"]) == (True, 1.5, 3.0, 4)
    assert "quantiles" not in leaf
