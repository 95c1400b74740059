"""Names: objects are found again under them, and only ``find`` imports."""

from __future__ import annotations

import enum
import math
import pickle
import sys
from functools import partial
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from gym_h5record.errors import SpecError
from gym_h5record.values.qualified_names import Named, name_of


class Color(enum.Enum):
    RED = 1
    ALSO_RED = 1


class Bits(enum.Flag):
    ONE = 1
    TWO = 2


class Maker:
    @classmethod
    def make(cls):
        return cls()

    def method(self):
        return None

    def __call__(self):
        return None


def moved():
    return None


moved.__qualname__ = "elsewhere"


@pytest.mark.parametrize(
    "thing",
    [Maker, Maker.make, Color.RED, Color.ALSO_RED, AutoresetMode.NEXT_STEP, gym.Env, math.sqrt, np.tanh, np.clip, len],
    ids=lambda thing: getattr(thing, "__name__", str(thing)),
)
def test_what_has_a_name_is_found_under_it(thing):
    found = name_of(thing).find()
    assert found is thing or found == thing


@pytest.mark.parametrize(
    ("thing", "reason"),
    [
        (lambda: None, "a lambda"),
        (Maker(), "Maker has no name"),
        (Maker().method, "not where its name says"),
        (partial(moved), "functools.partial has no name"),
        (moved, "not where its name says"),
        (Bits.ONE | Bits.TWO, "TWO"),
        ([].append, "has no name"),
        (list[int], "not where its name says"),
        (5, "has no name"),
    ],
    ids=["lambda", "instance", "bound", "partial", "moved", "flags", "builtin method", "generic", "number"],
)
def test_what_would_not_be_found_has_no_name(thing, reason):
    with pytest.raises(ValueError, match=reason):
        name_of(thing)


def test_what_is_defined_inside_a_function_has_no_name():
    def inner():
        return None

    with pytest.raises(ValueError, match="inside a function; define it at the top of a module"):
        name_of(inner)


@pytest.mark.parametrize("part", ["", ".", "os.", ".os", "os path", "<locals>", "a" * 1001, 5, None, ["os"], "a:b"])
def test_a_name_that_import_could_not_mean_is_refused(part):
    with pytest.raises(ValueError, match="is no name"):
        Named(part, "f")
    with pytest.raises(ValueError, match="is no name"):
        Named("os", part)


def test_a_name_is_a_value():
    assert str(Named("os.path", "join")) == "os.path:join"
    assert Named("os", "getcwd") == pickle.loads(pickle.dumps(Named("os", "getcwd")))
    assert len({Named("os", "a"), Named("os", "a"), Named("os", "b")}) == 2


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        (Named("no_such_module_at_all", "f"), "No module named 'no_such_module_at_all'"),
        (Named("os", "no_such_function"), "no attribute 'no_such_function'"),
        (Named("__main__", "no_such_function"), "defined in the script that recorded it"),
    ],
    ids=str,
)
def test_what_is_missing_is_said(named, reason):
    with pytest.raises(SpecError, match=reason) as caught:
        named.find()
    assert str(named) in str(caught.value)


def test_a_module_that_fails_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "failing_module_of_a_stranger.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SpecError, match="ZeroDivisionError"):
        Named("failing_module_of_a_stranger", "f").find()


def test_naming_imports_nothing():
    class Stranger:
        pass

    Stranger.__module__, Stranger.__qualname__ = "this", "Stranger"
    sys.modules.pop("this", None)
    with pytest.raises(ValueError, match="not where its name says"):
        name_of(Stranger)
    assert "this" not in sys.modules
