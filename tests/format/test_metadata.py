"""The attributes of ``/metadata`` as values: each of its type, or an error that names it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from gymnasium import spaces

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.metadata import metadata_values, read_attribute, readable_attributes

SOUND = {
    "run_id": "run 7",
    "user": '{"rate":0.1,"pair":{"$tuple":[1,2]}}',
    "versions": '{"h5py":"3"}',
    "platform": "{}",
    "env_wrappers": '["a:A"]',
    "env_spec": "",
    "total_steps": 3,
}
UNSOUND: list[tuple[str, Any]] = [
    ("run_id", 7),
    ("user", "[]"),
    ("user", "{"),
    ("versions", "[1]"),
    ("platform", "[" * 1000),
    ("recording_parent", "[1]"),
    ("env_wrappers", "[1]"),
    ("total_steps", "3"),
    ("total_episodes", True),
    ("created_at", 2026),
]
UNREADABLE_TEXT = [
    ("observation_space", "{}", {}),
    ("observation_space", "{oh", "{oh"),
    ("env_spec", '{"id": 5}', {"id": 5}),
    ("compression", '"gz"', "gz"),
    ("compression", '["gzip"]', ["gzip"]),
    ("mask_names", '["a/b"]', ["a/b"]),
    ("mask_names", "[" * 1000, "[" * 1000),
    ("frames", "some", "some"),
    ("created_at", "yesterday", "yesterday"),
]


def test_attributes_become_values() -> None:
    values = metadata_values(SOUND)
    assert values["user"] == {"rate": 0.1, "pair": (1, 2)}
    assert (values["rate"], values["pair"]) == (0.1, (1, 2))
    assert (values["versions"], values["env_wrappers"]) == ({"h5py": "3"}, ["a:A"])
    assert (values["run_id"], values["env_spec"], values["total_steps"]) == ("run 7", None, 3)


def test_what_the_user_wrote_does_not_take_the_place_of_what_was_recorded() -> None:
    values = metadata_values(SOUND | {"user": '{"run_id":"mine","render_mode":"human","user":1}'})
    assert values["run_id"] == "run 7"
    assert "render_mode" not in values
    assert values["user"] == {"run_id": "mine", "render_mode": "human", "user": 1}


@pytest.mark.parametrize(("name", "value"), UNSOUND)
def test_an_attribute_of_another_type_is_an_error_that_names_it(name: str, value: Any) -> None:
    with pytest.raises(CorruptRecordingError, match=f"/metadata {name} "):
        metadata_values(SOUND | {name: value})


@pytest.mark.parametrize(("name", "value"), UNSOUND)
def test_one_unreadable_attribute_does_not_hide_the_others(name: str, value: Any) -> None:
    assert readable_attributes(SOUND | {name: value}) == {each: SOUND[each] for each in SOUND if each != name}


@pytest.mark.parametrize(("name", "text", "shown"), UNREADABLE_TEXT)
def test_attributes_that_cannot_be_read_are_shown_as_the_json_or_the_text_that_they_are(
    name: str, text: str, shown: Any
) -> None:
    assert metadata_values(SOUND | {name: text})[name] == shown
    with pytest.raises((ValueError, TypeError)):
        read_attribute(name, text)


def test_only_a_space_that_can_be_read_is_readable() -> None:
    sound = SOUND | {"env_spec": '{"id": 5}'}
    assert readable_attributes(sound | {"action_space": "{}"}) == sound


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("user", "", {}),
        ("recording_parent", '{"episode": 3}', {"episode": 3}),
        ("action_space", '{"type": "Discrete", "n": 3, "start": 0, "dtype": "<i8"}', spaces.Discrete(3)),
        ("env_spec", "", None),
        ("compression", '["zstd", 3]', ("zstd", 3)),
        ("mask_names", '["train", "valid"]', ["train", "valid"]),
        ("frames", "none", "none"),
        ("frames", "cameras", "cameras"),
        ("created_at", "2026-01-02T03:04:05+00:00", datetime.fromisoformat("2026-01-02T03:04:05+00:00")),
        ("run_id", "[1", "[1"),
    ],
)
def test_each_attribute_has_its_reader(name: str, text: str, expected: Any) -> None:
    assert read_attribute(name, text) == expected
