"""Names and numbers of masks: what the format allows, and what it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.masks import (
    check_mask,
    check_mask_size,
    is_mask_name,
    mask_field,
    mask_names,
    read_mask_names,
)
from gym_h5record.limits import MAX_MASKS


@pytest.mark.parametrize("name", ["train", "20_percent", "_", "a.b-c", "x" * 64], ids=str)
def test_names_that_are_allowed(name: str) -> None:
    assert is_mask_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "-a", "a/b", "a b", "größe", "a\n", "x" * 65, "a\0", b"a", None, 3], ids=repr
)
def test_names_that_are_not(name: Any) -> None:
    assert not is_mask_name(name)


def test_names_are_a_json_list() -> None:
    assert read_mask_names('["train", "valid"]') == ["train", "valid"]
    assert mask_names({"mask_names": '["train"]'}) == ["train"]
    assert mask_names({}) == []


@pytest.mark.parametrize("text", ["", "{}", '"train"', '["a", "a"]', '["a/b"]', "[1]", "[null]"], ids=repr)
def test_other_texts_are_corruption(text: str) -> None:
    with pytest.raises(ValueError):
        read_mask_names(text)
    with pytest.raises(CorruptRecordingError, match="mask_names cannot be read"):
        mask_names({"mask_names": text})


def test_there_is_a_limit() -> None:
    names = [f"mask_{number}" for number in range(MAX_MASKS + 1)]
    assert len(read_mask_names(str(names[:-1]).replace("'", '"'))) == MAX_MASKS
    with pytest.raises(ValueError, match="at most 1024"):
        read_mask_names(str(names).replace("'", '"'))


def test_a_mask_is_a_list_of_numbers() -> None:
    field = mask_field("train")
    assert (field.name, field.dtype, field.shape) == ("masks/train", np.int64, ())


@pytest.mark.parametrize("numbers", [[], [0], [0, 1, 4]], ids=str)
def test_rising_numbers_of_episodes_are_a_mask(numbers: list[int]) -> None:
    check_mask("train", np.array(numbers, np.int64), 5)
    check_mask_size("train", len(numbers), 5)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [([5], "names episode 5, there are 5"), ([-1, 0], "names episode -1"), ([1, 0], "rising"), ([2, 2], "rising")],
    ids=str,
)
def test_other_numbers_are_corruption(numbers: list[int], message: str) -> None:
    with pytest.raises(CorruptRecordingError, match=f"/masks/train .*{message}"):
        check_mask("train", np.array(numbers), 5)


def test_more_numbers_than_episodes_are_corruption_before_they_are_read() -> None:
    with pytest.raises(CorruptRecordingError, match="/masks/train has 6 numbers, there are 5 episodes"):
        check_mask_size("train", 6, 5)
