"""Masks: each that cannot be used is a problem."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import gym_h5record as h5r
from tests.maintenance.validation import found, spoiling


@pytest.fixture
def masked(path: Path) -> Path:
    """A recording of five episodes with two masks."""
    h5r.add_mask(path, "train", [0, 1, 4])
    h5r.add_mask(path, "valid", [2])
    return path


def test_good_masks_are_no_problem(masked: Path) -> None:
    assert found(masked, deep=True) == []


def test_a_mask_that_is_missing_or_damaged_is_found(masked: Path) -> None:
    with spoiling(masked) as file:
        del file["masks/train"]
        file["masks/valid"][0] = 5
    assert found(masked, deep=False) == [("mask", "/masks/train"), ("mask", "/masks/valid")]
    problem = h5r.validate(masked)[1]
    assert problem.message.endswith("/masks/valid names episode 5, there are 5 episodes")
    assert "add_mask" in problem.remedy


@pytest.mark.parametrize("data", [np.zeros(2), np.zeros((1, 2), int), np.arange(6), np.array([1, 0])], ids=repr)
def test_a_mask_of_another_form_is_found(data: np.ndarray, masked: Path) -> None:
    with spoiling(masked) as file:
        del file["masks/train"]
        file.create_dataset("masks/train", data=data, chunks=data.shape, maxshape=(None, *data.shape[1:]))
    assert found(masked, deep=False) == [("mask", "/masks/train")]


def test_a_link_in_the_place_of_a_mask_is_found_and_not_followed(masked: Path) -> None:
    with spoiling(masked) as file:
        del file["masks"]
        file["masks"] = h5py.SoftLink("/episodes")
    assert [code for code, _ in found(masked, deep=False)] == ["mask", "mask"]


def test_names_that_cannot_be_read_are_found(masked: Path) -> None:
    with spoiling(masked) as file:
        file["metadata"].attrs["mask_names"] = '["../x"]'
    assert found(masked, deep=False) == [("metadata-unreadable", "/metadata mask_names")]
