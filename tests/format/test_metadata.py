"""The attributes of ``/metadata`` as values: each of its kind, or an error that names it."""

from __future__ import annotations

from typing import Any

import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.metadata import metadata_values, readable_attributes

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
    ("env_wrappers", "[1]"),
    ("total_steps", "3"),
    ("total_episodes", True),
]


def test_attributes_become_values() -> None:
    values = metadata_values(SOUND)
    assert values["user"] == {"rate": 0.1, "pair": (1, 2)}
    assert (values["rate"], values["pair"]) == (0.1, (1, 2))
    assert (values["versions"], values["env_wrappers"]) == ({"h5py": "3"}, ["a:A"])
    assert (values["run_id"], values["env_spec"], values["total_steps"]) == ("run 7", "", 3)


def test_what_the_user_wrote_does_not_take_the_place_of_what_was_recorded() -> None:
    values = metadata_values(SOUND | {"user": '{"run_id":"mine","render_mode":"human","user":1}'})
    assert values["run_id"] == "run 7"
    assert "render_mode" not in values
    assert values["user"] == {"run_id": "mine", "render_mode": "human", "user": 1}


@pytest.mark.parametrize(("name", "value"), UNSOUND)
def test_an_attribute_of_another_kind_is_an_error_that_names_it(name: str, value: Any) -> None:
    with pytest.raises(CorruptRecordingError, match=f"/metadata {name} "):
        metadata_values(SOUND | {name: value})


@pytest.mark.parametrize(("name", "value"), UNSOUND)
def test_the_others_can_be_read_all_the_same(name: str, value: Any) -> None:
    assert readable_attributes(SOUND | {name: value}) == {each: SOUND[each] for each in SOUND if each != name}
