"""The protocol of a snapshot provider: an object with a name, ``take`` and ``restore``."""

from __future__ import annotations

from typing import Any

import pytest

from gym_h5record.recorder.snapshots.ale import AleProvider
from gym_h5record.recorder.snapshots.generators import GeneratorProvider
from gym_h5record.recorder.snapshots.mujoco import MujocoProvider
from gym_h5record.recorder.snapshots.provider import SnapshotProvider


class Whole:
    name = "whole"

    def take(self, env: Any) -> bytes | None:
        return None

    def restore(self, env: Any, state: bytes) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("provider", [AleProvider(), MujocoProvider(), GeneratorProvider(), Whole()])
def test_what_has_a_name_take_and_restore_is_a_provider(provider: Any) -> None:
    assert isinstance(provider, SnapshotProvider)


@pytest.mark.parametrize("missing", ["name", "take", "restore"])
def test_an_object_that_lacks_one_of_them_is_none(missing: str) -> None:
    members = {key: value for key, value in vars(Whole).items() if key in {"name", "take", "restore"} - {missing}}
    assert not isinstance(type("Part", (), members)(), SnapshotProvider)


def test_the_names_of_the_built_in_providers_are_those_in_recordings() -> None:
    assert [each.name for each in (AleProvider, MujocoProvider, GeneratorProvider)] == ["ale", "mujoco", "generators"]
