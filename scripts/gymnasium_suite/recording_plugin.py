"""A pytest plugin: every environment that the tests make is recorded into a file of its own.

``gymnasium.make`` and the class ``GenericTestEnv`` of Gymnasium's tests give a recorded environment, or
``gymnasium.make_vec`` and the classes of vector environments do. Outcomes are written one by one, so that they outlive
a test that ends the interpreter.
"""

from __future__ import annotations

import functools
import json
import os
import uuid
from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.envs import registration

from gym_h5record import RecordToHDF5, notices
from gymnasium_suite.suite import WAYS
from gymnasium_suite.tables import COUNTS_WARNINGS, LEFT_OUT, reason
from gymnasium_suite.vector_environments import record_vector, record_vector_envs


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that ``gymnasium_suite.suite`` passes."""
    group = parser.getgroup("recorder")
    group.addoption("--outcomes", type=Path, help="the file for the outcomes of the tests, lines of JSON")
    group.addoption("--way", choices=WAYS, help="what is recorded; nothing without this option")
    group.addoption("--recordings", type=Path, help="the folder for the recordings")
    group.addoption("--writer", default="inline", help="the option of the recorder")


def pytest_configure(config: pytest.Config) -> None:
    """Put the recorder in, before a test module is imported."""
    way = config.getoption("way")
    if way is not None:
        options = config.getoption("recordings"), config.getoption("writer")
        if way.startswith("vector"):
            record_vector_envs(functools.partial(_record_lanes, *options), outermost=way == "vector-top")
        else:
            record = functools.partial(_record, *options)
            _record_what_make_gives(record if way == "top" else functools.partial(_record_innermost, record))
            _record_generic_test_envs(record)
    config.pluginmanager.register(_Outcomes(config.getoption("outcomes")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot run here."""
    left_out = [item for item in items if reason(LEFT_OUT, item.nodeid) is not None]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Drop the recorder's warnings in tests that count warnings."""
    with pytest.MonkeyPatch.context() as patch:
        if reason(COUNTS_WARNINGS, item.nodeid) is not None:
            patch.setattr(notices, "warnings", SimpleNamespace(warn=lambda *_, **__: None))
        return (yield)


class _Outcomes:
    """Writes what became of each test."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._write(nodeid, "begun", "")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            self._write(report.nodeid, report.outcome, report.longreprtext)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(report.nodeid, report.outcome, report.longreprtext)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        for item in items:
            self._write(item.nodeid, "left out", "")

    def pytest_sessionfinish(self) -> None:
        self._write("", "finished", "")

    def _write(self, test: str, outcome: str, text: str) -> None:
        with self._path.open("a") as file:
            print(json.dumps([test, outcome, text]), file=file)


# Recording ----------------------------------------------------------------------------------------


def _record(folder: Path, writer: str, env: Any) -> Any:
    """A recorder around an environment. One without spaces, which tests of errors make, stays as it is."""
    if not all(isinstance(getattr(env, name, None), gym.Space) for name in ("observation_space", "action_space")):
        return env
    return RecordToHDF5(env, str(_new_path(folder)), mode="x", writer=writer)  # the spec becomes JSON in some tests


def _record_lanes(folder: Path, writer: str, env: Any) -> Any:
    return record_vector(_new_path(folder), writer, env)


def _new_path(folder: Path) -> Path:
    """The path of a recording, with the test that makes it beside it."""
    path = folder / f"{uuid.uuid4().hex}.h5"  # also unique among the processes of vector environments
    path.with_suffix(".test").write_text(os.environ.get("PYTEST_CURRENT_TEST", "the import of a module"))
    return path


def _record_innermost(record: Callable[[Any], Any], env: Any) -> Any:
    """Put the recorder under all wrappers of an environment."""
    lowest, inner = None, env
    while isinstance(inner, gym.Wrapper):
        lowest, inner = inner, inner.env
    if lowest is None:
        return record(env)
    if not isinstance(lowest, RecordToHDF5):
        lowest.env = record(inner)
    return env


def _record_what_make_gives(record: Callable[[Any], Any]) -> None:
    make = registration.make

    @functools.wraps(make)
    def make_recorded(*args: Any, **kwargs: Any) -> Any:
        return record(make(*args, **kwargs))

    for module in (gym, gym.envs, registration):
        module.make = make_recorded


def _record_generic_test_envs(record: Callable[[Any], Any]) -> None:
    """Let calls of the class give a recorder around an instance."""
    from tests import testing_env  # the tests of the checkout

    class Recorded(type):
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            return record(super().__call__(*args, **kwargs))

    plain = testing_env.GenericTestEnv  # a copy, as a subclass would lengthen super(GenericTestEnv, env) of the tests
    members = {name: each for name, each in vars(plain).items() if name not in ("__dict__", "__weakref__")}
    testing_env.GenericTestEnv = Recorded(plain.__name__, plain.__bases__, members)
