"""The public names: complete, documented, and recorded as Gymnasium records its wrappers."""

import functools
import inspect
import subprocess
import sys
import types

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils import RecordConstructorArgs

import gym_h5record as h5r

PUBLIC = {name: getattr(h5r, name) for name in h5r.__all__}


def members(cls):
    """What a public class defines itself and shows: methods, properties, cached ones."""
    kinds = (types.FunctionType, property, functools.cached_property, classmethod, staticmethod)
    return {name: each for name, each in vars(cls).items() if not name.startswith("_") and isinstance(each, kinds)}


CLASSES = {name: each for name, each in PUBLIC.items() if inspect.isclass(each)}
MEMBERS = {f"{name}.{member}": each for name, cls in CLASSES.items() for member, each in members(cls).items()}


# Names --------------------------------------------------------------------------------------------


def test_all_is_what_can_be_seen():
    assert set(dir(h5r)) == set(h5r.__all__)


def test_all_has_no_name_twice():
    assert len(set(h5r.__all__)) == len(h5r.__all__)


def test_star_import_gives_every_public_name():
    names = {}
    exec("from gym_h5record import *", names)
    assert set(h5r.__all__) <= set(names)


def test_stable_names_are_there():
    assert {"RecordToHDF5", "Recording", "ReplayFromHDF5", "repair", "errors", "__version__"} <= set(h5r.__all__)


def test_version_is_that_of_the_distribution():
    from importlib import metadata

    assert h5r.__version__ == metadata.version("gym_h5record")


def test_types_are_shipped():
    from importlib import resources

    assert (resources.files(h5r) / "py.typed").is_file()


def test_replay_can_be_made_by_its_id():
    assert "gym_h5record/Replay-v0" in gym.registry


# Documentation ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - {"__version__"}))
def test_public_object_is_documented(name):
    assert inspect.getdoc(PUBLIC[name])
    assert PUBLIC[name].__doc__, f"the docstring of {name} is inherited"


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_public_member_is_documented(name):
    assert MEMBERS[name].__doc__


@pytest.mark.parametrize("name", sorted(h5r.errors.__all__))
def test_error_is_documented(name):
    assert getattr(h5r.errors, name).__doc__


@pytest.mark.parametrize(
    "name", sorted(name for name, each in PUBLIC.items() if callable(each) and not issubclass(type(each), type))
)
def test_public_function_is_annotated(name):
    signature = inspect.signature(PUBLIC[name])
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(parameter.annotation is not inspect.Parameter.empty for parameter in signature.parameters.values())


def test_parameters_of_the_recorder_are_all_described():
    described = inspect.getdoc(h5r.RecordToHDF5)
    for name in inspect.signature(h5r.RecordToHDF5).parameters:
        assert f"\n    {name}: " in described, name


# Constructor arguments ----------------------------------------------------------------------------


def always(count):
    return True


def arguments(tmp_path):
    """A value other than the default for every parameter of the recorder."""
    return {
        "path": str(tmp_path / "run.h5"),
        "mode": "a",
        "frames": False,
        "infos": False,
        "times": False,
        "snapshots": False,
        "episode_trigger": always,
        "step_trigger": always,
        "keep": always,
        "compression": "gzip",
        "compression_opts": 4,
        "writer": "inline",
        "flush_interval_s": 2.5,
        "durability": "power",
        "checksum": True,
        "on_error": "warn",
        "metadata": {"run_id": "r"},
    }


def parameters():
    return {
        name: parameter
        for name, parameter in inspect.signature(h5r.RecordToHDF5.__init__).parameters.items()
        if name not in ("self", "env")
    }


def test_recorder_is_a_wrapper_that_records_its_constructor():
    assert issubclass(h5r.RecordToHDF5, gym.Wrapper)
    assert issubclass(h5r.RecordToHDF5, RecordConstructorArgs)


def test_every_parameter_is_recorded_under_its_own_name(tmp_path):
    given = arguments(tmp_path)
    assert given.keys() == parameters().keys(), "the test does not know every parameter"
    env = h5r.RecordToHDF5(gym.make("CartPole-v1"), **given)
    assert env._saved_kwargs == given
    env.close()


def test_defaults_are_recorded_too(tmp_path):
    env = h5r.RecordToHDF5(gym.make("CartPole-v1"), str(tmp_path / "run.h5"))
    defaults = {name: each.default for name, each in parameters().items() if name != "path"}
    assert env._saved_kwargs == {"path": str(tmp_path / "run.h5"), **defaults}
    env.close()


def test_all_options_are_given_by_name():
    kinds = {name: each.kind for name, each in parameters().items()}
    assert kinds.pop("path") is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert set(kinds.values()) == {inspect.Parameter.KEYWORD_ONLY}


def test_spec_names_the_recorder_and_its_arguments(tmp_path):
    given = arguments(tmp_path)
    env = h5r.RecordToHDF5(gym.make("CartPole-v1"), **given)
    added = env.spec.additional_wrappers[-1]
    assert added.name == "RecordToHDF5"
    assert added.entry_point == "gym_h5record.recorder:RecordToHDF5"
    assert added.kwargs == given
    env.close()


def test_spec_makes_the_same_recorder_again(tmp_path):
    env = h5r.RecordToHDF5(gym.make("CartPole-v1"), **arguments(tmp_path))
    spec = env.spec
    env.close()  # a path has one recorder at a time
    again = gym.make(spec)
    assert isinstance(again, h5r.RecordToHDF5)
    assert again._saved_kwargs == env._saved_kwargs
    assert list(tmp_path.iterdir()) == []  # nothing is opened before the first reset
    again.close()


def test_spec_can_be_written_as_json_and_makes_the_same_recorder(tmp_path):
    env = h5r.RecordToHDF5(gym.make("CartPole-v1"), tmp_path / "run.h5", writer="inline")
    text = env.spec.to_json()
    env.close()
    again = gym.make(EnvSpec.from_json(text))
    assert again._saved_kwargs == env._saved_kwargs == {**env._saved_kwargs, "path": str(tmp_path / "run.h5")}
    again.reset()
    again.close()
    assert h5r.Recording(tmp_path / "run.h5").num_rows == 1


def test_spec_says_x_in_the_place_of_w(tmp_path):
    env = h5r.RecordToHDF5(gym.make("CartPole-v1"), **{**arguments(tmp_path), "mode": "w"})
    assert env.spec.additional_wrappers[-1].kwargs == {**arguments(tmp_path), "mode": "x"}
    env.close()


# Doors --------------------------------------------------------------------------------------------


def test_package_is_a_command():
    shown = subprocess.run(
        [sys.executable, "-m", "gym_h5record", "--help"], check=True, capture_output=True, text=True, timeout=60
    )
    assert "record" in shown.stdout
