"""The hints of missing attributes: each names what there is, and no other error is hidden."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.reading.hints import Hinting
from tests.reading import record
from tests.zoo import ZooEnv


@pytest.fixture
def recording(tmp_path: Path) -> Any:
    record(tmp_path / "run.h5", ZooEnv(spaces.Discrete(3), length=3), [3, 2])
    with h5r.Recording(tmp_path / "run.h5") as recording:
        yield recording


def test_a_name_of_another_library_is_answered_with_ours(recording: Any) -> None:
    with pytest.raises(AttributeError, match=r"'Episode' object has no attribute 'id'; episode\.number is its place"):
        recording[0].id  # noqa: B018
    with pytest.raises(AttributeError, match=r"'Episode' object has no attribute 'total_return'; episode\.total_rew"):
        recording[0].total_return  # noqa: B018
    with pytest.raises(AttributeError, match=r"'Recording' object has no attribute 'sample'; next\(iter\(recording"):
        recording.sample(3)
    with pytest.raises(AttributeError, match=r"'Selection' object has no attribute 'actions'; recording\.steps\.act"):
        recording[:1].actions  # noqa: B018


def test_hints_are_for_names_that_do_not_exist_and_name_some_that_do(recording: Any) -> None:
    for owner, spoken in ((recording, "recording"), (recording[:1], "recording"), (recording[0], "episode")):
        for name, hint in type(owner)._hints.items():
            assert name not in dir(owner)
            named = [each for each in dir(owner) if f"{spoken}.{each}" in hint]
            assert named or hint == "for episode in recording", (name, hint)


def test_any_other_name_gets_the_error_of_python(recording: Any) -> None:
    for owner in (recording, recording[0]):
        with pytest.raises(AttributeError) as caught:
            owner.lenght  # noqa: B018
        assert str(caught.value) == f"{type(owner).__name__!r} object has no attribute 'lenght'"
        assert caught.value.name == "lenght"  # of which Python makes "Did you mean: 'length'?"
        assert not hasattr(owner, "__array_interface__")


def test_text_as_an_index_is_answered_with_select(recording: Any) -> None:
    with pytest.raises(TypeError, match=r"not by 'train'; recording\.select\(\.\.\.\) takes names of masks"):
        recording["train"]


def test_an_error_within_a_property_is_seen() -> None:
    class Broken(Hinting):
        @property
        def value(self) -> Any:
            return object().missing  # type: ignore[attr-defined]

    with pytest.raises(AttributeError, match="'object' object has no attribute 'missing'"):
        Broken().value  # noqa: B018
