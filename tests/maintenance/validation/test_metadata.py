"""Metadata: attributes that are missing, unreadable, or contradict the rows."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gym_h5record import validate
from gym_h5record.format import metadata
from gym_h5record.maintenance.validation.metadata import metadata_problems
from gym_h5record.storage.handle import Access, Handle
from gym_h5record.values.tagged_json import parse_json
from tests.maintenance.validation import ACTIONS, OBSERVATIONS, found, only_problem, spoiling


def set_attribute(path: Path, name: str, value: Any) -> None:
    with spoiling(path) as file:
        file["metadata"].attrs[name] = value


@pytest.mark.parametrize("name", ["total_steps", "total_episodes", "compression"])
def test_an_attribute_that_must_be_there_is_missed(name: str, path: Path) -> None:
    with spoiling(path) as file:
        del file["metadata"].attrs[name]
    problem = only_problem(path, deep=False)
    assert (problem.code, problem.severity) == ("metadata-missing", "error")
    assert problem.place == f"/metadata {name}"


@pytest.mark.parametrize("names", [["env_spec"], ["run_id", "versions", "observation_space"], ["journal_id"]])
def test_attributes_that_should_be_there_are_a_warning(names: list[str], path: Path) -> None:
    with spoiling(path) as file:
        for name in names:
            del file["metadata"].attrs[name]
    problem = only_problem(path)
    assert (problem.code, problem.severity) == ("metadata-incomplete", "warning")
    assert all(name in problem.message for name in names)


def test_metadata_that_is_missing_is_found(path: Path) -> None:
    with spoiling(path) as file:
        del file["metadata"]
    assert found(path) == [("metadata-unreadable", "/metadata"), ("schema", "/metadata")]


@pytest.mark.parametrize("name", ["total_steps", "total_episodes"])
@pytest.mark.parametrize("value", [np.int64(28), "29", 29.5])
def test_totals_that_contradict_the_commit_are_found(name: str, value: Any, path: Path) -> None:
    set_attribute(path, name, value)
    assert found(path, deep=False) == [("totals", f"/metadata {name}")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user", "not JSON"),
        ("user", "[]"),
        ("user", '{"$float": "zz"}'),
        ("versions", "[]"),
        ("platform", "1"),
        ("env_wrappers", "{}"),
        ("env_wrappers", "[1]"),
        ("recording_parent", "[]"),
        ("compression", "gzip"),
        ("compression", '["brotli", null]'),
        ("frames", "some"),
        ("created_at", "yesterday"),
        ("env_name", 5),
    ],
)
def test_an_attribute_that_cannot_be_read_is_found(name: str, value: Any, path: Path) -> None:
    set_attribute(path, name, value)
    assert found(path, deep=False) == [("metadata-unreadable", f"/metadata {name}")]


@pytest.mark.parametrize("name", ["observation_space", "action_space"])
@pytest.mark.parametrize("text", ["", '{"type": "Box"}', '{"type": "Discrete", "n": -1}', "[" * 100_000])
def test_a_space_that_cannot_be_read_is_found(name: str, text: str, path: Path) -> None:
    set_attribute(path, name, text)
    assert found(path, deep=False) == [("space-unreadable", f"/metadata {name}")]


def test_a_spec_that_cannot_be_read_is_a_warning(path: Path) -> None:
    set_attribute(path, "env_spec", '{"id": 5}')
    problem = only_problem(path)
    assert (problem.code, problem.severity) == ("env-spec", "warning")


@pytest.mark.parametrize("value", ["30", None])
def test_frames_per_second_have_to_be_a_number(value: Any, path: Path) -> None:
    with spoiling(path) as file:
        del file.attrs["fps"]
        if value is not None:
            file.attrs["fps"] = value
    assert found(path, deep=False) == [("metadata-unreadable", "/ fps")]


def test_a_quotation_is_short_whatever_the_attribute(path: Path) -> None:
    for name in ("versions", "user", "created_at"):
        set_attribute(path, name, name * 10_000)
    problems = validate(path)
    assert [each.code for each in problems] == ["metadata-unreadable"] * 3
    assert all(len(each.message) < 250 for each in problems)


def spaces_of(path: Path) -> dict[str, Any]:
    spaces: dict[str, Any] = {}
    with closing(Handle(path, Access.DAMAGED)) as handle:
        list(metadata_problems(handle, None, spaces))
    return spaces


def test_spaces_that_can_be_read_are_given(path: Path) -> None:
    assert spaces_of(path) == {"observations": OBSERVATIONS, "actions": ACTIONS}
    set_attribute(path, "action_space", "")
    assert spaces_of(path) == {"observations": OBSERVATIONS}


def test_each_space_is_read_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(metadata, "parse_json", lambda text, *depth: read.append(text) or parse_json(text, *depth))
    assert validate(path, deep=True) == []
    assert len([text for text in read if '"type"' in text]) == 2
