"""``build_env``: it makes the recorded environment again, or says in one sentence why it cannot."""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces, wrappers
from gymnasium.envs.registration import EnvSpec
from gymnasium.envs.toy_text.frozen_lake import generate_random_map

import gym_h5record as h5r
from gym_h5record.errors import EnvMismatchError, UnbuildableEnvError, UnsupportedEnvError
from gym_h5record.replay import rebuild
from gym_h5record.replay.rebuild import ADVICE, build_env, close_if_built, version_differences
from gym_h5record.values.exact import identical
from tests.reading import record
from tests.zoo import Played, ZooEnv

gym.register_envs(ale_py)

BOX = spaces.Box(-1, 1, (4,), np.float32)


class Window(gym.Env):
    """Renders in every mode, and says how it was made."""

    metadata = {"render_modes": ["human", "rgb_array", "rgb_array_list"], "render_fps": 30}  # noqa: RUF012
    observation_space = spaces.Discrete(3)
    action_space = spaces.Discrete(2)

    def __init__(self, render_mode=None, size=(4, 4)):
        self.render_mode, self.size, self.is_closed = render_mode, size, False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return 1, 0.0, False, False, {}

    def render(self):
        picture = np.zeros((*self.size, 3), np.uint8)
        return [picture] if self.render_mode == "rgb_array_list" else picture

    def close(self):
        self.is_closed = True


class Failing(Window):
    def __init__(self, fails=False):
        super().__init__()
        if fails:
            raise OSError("the simulator is not running")


def squashed(observation):
    return np.tanh(observation)


def of_window(**kwargs) -> EnvSpec:
    return EnvSpec("Test/Window-v0", f"{__name__}:Window", kwargs=kwargs)


def with_spec(spec: EnvSpec | None, space: gym.Space = BOX) -> gym.Env:
    """An environment that says it was made of any spec."""
    env = ZooEnv(space, spaces.Discrete(2))
    env.spec = spec
    return env


def recorded(path: Path, env: gym.Env, lengths=(5,), **options: Any) -> h5r.Recording:
    record(path / "run.h5", env, lengths, **options)
    return h5r.Recording(path / "run.h5")


def check_same(env: gym.Env, played: Played) -> None:
    """Fail unless an environment does once more what it did."""
    found = [env.reset(seed=played.seed, options=played.options)[0]]
    rewards = []
    for action in played.actions:
        observation, reward, *_ = env.step(action)
        found.append(observation)
        rewards.append(reward)
    assert identical(found, list(played.observations))
    assert identical(rewards, list(played.rewards))


# From the file ------------------------------------------------------------------------------------


def made(name: str, *wrap: Callable[[gym.Env], gym.Env], needs: str = "gymnasium", **kwargs: Any) -> Any:
    def make() -> gym.Env:
        pytest.importorskip(needs)
        env = gym.make(name, **kwargs)
        for each in wrap:
            env = each(env)
        return env

    names = [each.__name__ for each in wrap]
    return pytest.param(make, id=" ".join([name, *names, *map(str, kwargs)]))


def transformed(env):
    return wrappers.TransformObservation(env, squashed, BOX)


def preprocessed(env):
    return wrappers.AtariPreprocessing(env, noop_max=3)


def stacked(env):
    return wrappers.FrameStackObservation(env, 3)


def counted(env):
    return wrappers.RecordEpisodeStatistics(wrappers.TimeLimit(env, 4))


def rescaled(env):
    return wrappers.RescaleAction(env, np.float32(-1), np.float32(1))


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    "make",
    [
        made("CartPole-v1"),
        made("CartPole-v1", sutton_barto_reward=True, max_episode_steps=4, disable_env_checker=True),
        made("CartPole-v1", transformed, stacked, counted),
        made("Pendulum-v1", rescaled, g=np.float64(5)),
        made("FrozenLake-v1", desc=generate_random_map(5, seed=1), is_slippery=False),
        made("FrozenLake-v1", map_name="8x8", success_rate=np.float32(0.5)),
        made("Blackjack-v1", natural=True),
        made("CliffWalking-v1"),
        made("LunarLander-v3", needs="Box2D", continuous=True, enable_wind=True),
        made("BipedalWalker-v3", needs="Box2D", hardcore=True),
        made("CarRacing-v3", needs="Box2D", domain_randomize=False),
        made("HalfCheetah-v5", needs="mujoco", reset_noise_scale=0.2),
        made("ALE/Breakout-v5", frameskip=(2, 5), obs_type="grayscale"),
        made("ALE/Breakout-v5", preprocessed, stacked, counted, frameskip=1, needs="cv2"),
        made("Pong-v4", obs_type="ram"),
    ],
)
def test_the_environment_is_made_again_and_does_what_it_did(make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes a log to where it runs
    env = make()
    (played,) = record(tmp_path / "run.h5", env, [6])
    with h5r.Recording(tmp_path / "run.h5") as recording, build_env(recording) as again:
        assert again.observation_space == env.observation_space
        assert again.action_space == env.action_space
        assert str(again) == str(env)
        check_same(again, played)


def test_a_recorder_inside_is_not_made_again(tmp_path: Path):
    inner = h5r.RecordToHDF5(gym.make("CartPole-v1"), tmp_path / "inner.h5", episode_trigger=lambda n: True)
    recording = recorded(tmp_path, wrappers.TimeLimit(inner, 3))
    before = (tmp_path / "inner.h5").read_bytes()
    with build_env(recording) as env:
        assert "RecordToHDF5" not in str(env)
        env.reset()
    assert (tmp_path / "inner.h5").read_bytes() == before


@pytest.mark.parametrize(
    ("mode", "options", "expected"),
    [
        (None, {}, None),
        ("rgb_array", {}, "rgb_array"),
        ("rgb_array", {"frames": False}, "rgb_array"),
        ("rgb_array_list", {}, "rgb_array_list"),
        ("human", {}, None),
    ],
)
def test_no_window_is_opened(mode, options, expected, tmp_path: Path):
    env = gym.make(of_window(render_mode=mode, size=(2, 3)))
    recording = recorded(tmp_path, env, **options)
    assert recording.metadata["render_mode"] == (mode or "")
    with build_env(recording) as again:
        assert again.render_mode == expected
        assert again.unwrapped.size == (2, 3)


@pytest.mark.parametrize(("frames", "mode"), [("auto", "rgb_array_list"), (False, "rgb_array")])
def test_collected_frames_are_collected_again_if_they_were_recorded(frames, mode, tmp_path: Path):
    env = gym.make("CartPole-v1", render_mode="rgb_array_list")
    assert "RenderCollection" in str(env)
    recording = recorded(tmp_path, env, frames=frames)
    with build_env(recording) as again:
        assert again.render_mode == mode


def test_warnings_while_the_environment_is_made_are_not_shown_again(tmp_path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        recording = recorded(tmp_path, gym.make("FrozenLake-v1", render_mode="no such mode"))
    with build_env(recording) as env:
        assert env.render_mode == "no such mode"


def in_fresh_process(code: str, *arguments: Path) -> str:
    """What a script prints that has imported nothing yet."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=100).stdout.strip()


REBUILD = """
import sys
from gym_h5record import Recording
from gym_h5record.errors import UnbuildableEnvError
from gym_h5record.replay.rebuild import build_env
try:
    print(build_env(Recording(sys.argv[1])))
except UnbuildableEnvError as error:
    print(error)
"""


@pytest.mark.long
def test_another_process_needs_to_register_nothing(tmp_path: Path):
    env = gym.make("ALE/Pong-v5", obs_type="ram")
    path = recorded(tmp_path, env).path
    assert in_fresh_process(REBUILD, path).splitlines()[-1] == str(env)


def test_what_a_script_defined_is_not_there_for_another(tmp_path: Path):
    script = """
import sys
import gymnasium as gym
from gym_h5record import RecordToHDF5
def halved(reward): return reward / 2
env = RecordToHDF5(gym.wrappers.TransformReward(gym.make("CartPole-v1"), halved), sys.argv[1])
env.reset()
env.close()
"""
    path = tmp_path / "run.h5"
    in_fresh_process(script, path)
    assert "cannot find __main__:halved, which was defined in the script that recorded it" in in_fresh_process(
        REBUILD, path
    )
    assert "<TransformReward<TimeLimit<" in in_fresh_process("def halved(r): return r" + REBUILD, path)


# From the user ------------------------------------------------------------------------------------


def test_an_environment_is_used_as_it_is(tmp_path: Path):
    recording = recorded(tmp_path, with_spec(None))
    env = with_spec(None)
    assert build_env(recording, env) is env


def test_a_function_makes_it(tmp_path: Path):
    recording = recorded(tmp_path, with_spec(None))
    env = with_spec(None)
    assert build_env(recording, lambda: env) is env
    assert type(build_env(recording, lambda: ZooEnv(BOX, spaces.Discrete(2)))) is ZooEnv


def test_of_one_that_is_recorded_what_the_recorder_wraps_is_used(tmp_path: Path):
    recording = recorded(tmp_path, with_spec(None))
    env = with_spec(None)
    recorder = h5r.RecordToHDF5(env, tmp_path / "other.h5")
    assert build_env(recording, recorder) is env
    assert build_env(recording, lambda: stacked(recorder)) is env
    recorder.close()


@pytest.mark.parametrize("env", [5, lambda: None, "CartPole-v1", Window], ids=["number", "None", "id", "class"])
def test_what_is_no_environment_is_refused(env, tmp_path: Path):
    recording = recorded(tmp_path, gym.make("CartPole-v1"))
    with pytest.raises((UnsupportedEnvError, EnvMismatchError)):
        build_env(recording, env)


def test_a_vector_environment_is_refused(tmp_path: Path):
    recording = recorded(tmp_path, gym.make("CartPole-v1"))
    env = gym.make_vec("CartPole-v1")
    with pytest.raises(UnsupportedEnvError, match=r"expected a gymnasium\.Env"):
        build_env(recording, env)
    env.close()


@pytest.mark.parametrize(
    ("then", "now", "difference"),
    [
        (
            BOX,
            spaces.Box(-1, 1, (5,), np.float32),
            r"observation_space is Box\(.*\(5,\).* Box\(.*\(4,\).* when recorded",
        ),
        (
            spaces.Dict(a=BOX, b=spaces.Tuple((BOX, spaces.Discrete(2)))),
            spaces.Dict(a=BOX, b=spaces.Tuple((BOX, spaces.Discrete(3)))),
            r"observation_space\['b'\]\[1\] is Discrete\(3\), Discrete\(2\) when recorded",
        ),
        (spaces.Dict(a=BOX), spaces.Dict(b=BOX), r"observation_space is Dict\('b'"),
        (spaces.Tuple((BOX,)), spaces.Tuple((BOX, BOX)), r"observation_space is Tuple\(Box.*, Box"),
    ],
    ids=["shape", "nested", "keys", "number"],
)
def test_an_environment_with_other_spaces_is_not_the_recorded_one(then, now, difference, tmp_path: Path):
    recording = recorded(tmp_path, with_spec(None, then))
    with pytest.raises(EnvMismatchError, match=difference):
        build_env(recording, with_spec(None, now))


def test_other_actions_are_a_difference(tmp_path: Path):
    recording = recorded(tmp_path, gym.make("CartPole-v1"))
    env = wrappers.TransformAction(gym.make("CartPole-v1"), int, spaces.Discrete(4))
    with pytest.raises(EnvMismatchError, match=r"action_space is Discrete\(4\), Discrete\(2\) when recorded"):
        build_env(recording, env)


def test_one_that_does_not_fit_is_closed_if_it_was_made_for_this(tmp_path: Path):
    recording = recorded(tmp_path, with_spec(None))
    mine, theirs = Window(), Window()
    with pytest.raises(EnvMismatchError):
        build_env(recording, mine)
    with pytest.raises(EnvMismatchError):
        build_env(recording, lambda: theirs)
    assert (mine.is_closed, theirs.is_closed) == (False, True)


def test_only_an_environment_that_was_built_is_closed():
    mine, built = Window(), Window()
    close_if_built(mine, mine)
    close_if_built(built, lambda: built)
    assert (mine.is_closed, built.is_closed) == (False, True)
    close_if_built(mine, None)
    assert mine.is_closed


# Why not ------------------------------------------------------------------------------------------


def why_not(path: Path, env: gym.Env) -> str:
    """The sentence that says why there is no environment."""
    with recorded(path, env) as recording, pytest.raises(UnbuildableEnvError) as caught:
        build_env(recording)
    message = str(caught.value)
    assert message.endswith("; pass what makes it, env=lambda: gymnasium.make(...).")
    assert message.endswith(f"; {ADVICE}")  # the command line says something else in its place
    assert str(path) in message
    assert "\n" not in message
    return message


def test_one_made_by_hand(tmp_path: Path):
    assert "ZooEnv cannot be made again: the file has no spec of it: the environment was not made by" in why_not(
        tmp_path, ZooEnv(BOX, spaces.Discrete(2))
    )


def test_a_lambda(tmp_path: Path):
    message = why_not(tmp_path, wrappers.TransformObservation(gym.make("CartPole-v1"), lambda each: each, BOX))
    assert "CartPole-v1 cannot be made again: the file has no spec of it: the argument func of the wrapper" in message
    assert "a lambda has no name" in message
    assert "EnvSpec(" not in message


def test_a_wrapper_that_does_not_record_its_arguments(tmp_path: Path):
    class Plain(gym.Wrapper):
        pass

    assert "Plain does not record its arguments" in why_not(tmp_path, Plain(gym.make("CartPole-v1")))


def test_a_wrapper_that_is_defined_inside_a_function(tmp_path: Path):
    class Local(gym.Wrapper, gym.utils.RecordConstructorArgs):
        def __init__(self, env):
            gym.utils.RecordConstructorArgs.__init__(self)
            super().__init__(env)

    assert "has no attribute 'Local'" in why_not(tmp_path, Local(gym.make("CartPole-v1")))


def test_a_module_that_is_not_installed(tmp_path: Path):
    message = why_not(tmp_path, with_spec(EnvSpec("X-v0", "no_such_package.inner:Env")))
    assert "X-v0 cannot be made again: it needs no_such_package, which is not installed here;" in message


def test_a_module_that_an_argument_needs(tmp_path: Path):
    class Away:
        pass

    Away.__module__, Away.__qualname__ = "away_for_good", "Away"
    sys.modules["away_for_good"] = type(sys)("away_for_good")
    sys.modules["away_for_good"].Away = Away
    env = with_spec(of_window(size=Away))
    recording = recorded(tmp_path, env)
    del sys.modules["away_for_good"]
    with pytest.raises(UnbuildableEnvError, match="it needs away_for_good, which is not installed"):
        build_env(recording)


@pytest.mark.parametrize("name", ["gymnasium.envs.no_such:Env", "gymnasium.envs.classic_control:NoSuchEnv"])
def test_a_package_that_has_changed(name, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recording = recorded(tmp_path, with_spec(EnvSpec("X-v0", name)))
    versions = recording.metadata["versions"]
    monkeypatch.setattr(rebuild, "library_versions", lambda _: {**versions, "gymnasium": "9.9"})
    sentence = f"Error: .* \\(gymnasium {versions['gymnasium']} when recorded, 9.9 now\\); pass what makes it"
    with pytest.raises(UnbuildableEnvError, match=sentence):
        build_env(recording)


@pytest.mark.parametrize(
    ("name", "package", "install"),
    [
        ("LunarLander-v3", "Box2D", 'pip install "gymnasium[box2d]"'),
        ("HalfCheetah-v5", "mujoco", 'pip install "gymnasium[mujoco]"'),
        ("ALE/Pong-v5", "ale_py", 'pip install "ale-py"'),
    ],
)
def test_a_library_that_is_not_installed_is_named_with_its_package(
    name, package, install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    recording = recorded(tmp_path, with_spec(gym.spec(name)))
    for module in list(sys.modules):
        if module.startswith(("gymnasium.envs.box2d", "gymnasium.envs.mujoco")):
            monkeypatch.delitem(sys.modules, module)
        elif module.partition(".")[0] == package:
            monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UnbuildableEnvError) as caught:
        build_env(recording)
    assert f"it needs {package}, which is not installed here ({install}); pass" in str(caught.value)


def test_one_that_vectors_only(tmp_path: Path):
    assert "no entry_point" in why_not(tmp_path, with_spec(EnvSpec("X-v0", vector_entry_point="a:B")))


def test_one_that_fails(tmp_path: Path):
    spec = EnvSpec("X-v0", f"{__name__}:Failing", kwargs={"fails": True})
    assert "OSError: the simulator is not running;" in why_not(tmp_path, with_spec(spec))


def test_one_that_has_other_arguments_now(tmp_path: Path):
    assert "unexpected keyword argument 'colour'" in why_not(tmp_path, with_spec(of_window(colour=1)))


def test_one_that_has_other_spaces_now(tmp_path: Path):
    with recorded(tmp_path, with_spec(of_window())) as recording, pytest.raises(EnvMismatchError, match="Window-v0"):
        build_env(recording)


def test_opening_a_recording_imports_nothing_that_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    module = "module_that_a_recording_names"
    (tmp_path / f"{module}.py").write_text("def size():\n    return 5\n")
    monkeypatch.syspath_prepend(tmp_path)
    spec = EnvSpec("X-v0", f"{module}:Env", kwargs={"size": importlib.import_module(module).size})
    recording = recorded(tmp_path, with_spec(spec))
    del sys.modules[module]
    assert recording.env_spec.kwargs["size"].qualname == "size"
    assert recording.metadata["env_spec"]["gym_h5record"] == 1
    version_differences(recording)
    assert h5r.validate(tmp_path / "run.h5") == []
    assert module not in sys.modules
    with pytest.raises(UnbuildableEnvError, match="has no attribute 'Env'"):
        build_env(recording)
    assert sys.modules.pop(module)


# What is different --------------------------------------------------------------------------------


def test_nothing_differs_where_it_was_recorded(tmp_path: Path):
    assert version_differences(recorded(tmp_path, gym.make("ALE/Pong-v5"))) == []


def test_other_versions_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recording = recorded(tmp_path, gym.make("CartPole-v1"))
    then = recording.metadata["versions"]
    now = {**then, "numpy": "9.9", "h5py": "9.9", "gym_h5record": "9.9", "not there then": "9.9"}
    now.pop("ale_py")
    monkeypatch.setattr(rebuild, "library_versions", lambda _: now)
    monkeypatch.setattr(rebuild, "platform_names", lambda: {"system": "Plan9", "machine": "pdp11"})
    names = recording.metadata["platform"]
    assert version_differences(recording) == [
        f"numpy {then['numpy']} when recorded, 9.9 now",
        f"ale_py {then['ale_py']} when recorded, not installed now",
        f"system {names['system']} when recorded, Plan9 now",
        f"machine {names['machine']} when recorded, pdp11 now",
    ]


def test_the_library_an_environment_is_from_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recording = recorded(tmp_path, gym.make("CartPole-v1"))
    recording.metadata["versions"]["pytest"] = "0.1"
    recording.metadata["versions"]["no-such-library"] = "0.2"
    assert version_differences(recording) == [
        f"pytest 0.1 when recorded, {pytest.__version__} now",
        "no-such-library 0.2 when recorded, not installed now",
    ]


def test_of_many_named_libraries_only_a_hundred_are_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recording = recorded(tmp_path, gym.make("CartPole-v1"))
    recording.metadata["versions"].update({f"library {number}": "1" for number in range(10_000)}, **{"": "2"})
    asked: list[str] = []
    monkeypatch.setattr(rebuild, "library_versions", lambda names: asked.extend(names) or {})
    assert len(version_differences(recording)) < len(asked) == 100


@pytest.mark.parametrize(("now", "said"), [("0" * 32, "0" * 32 + " now"), (None, "not installed now")])
def test_another_rom_is_said(now, said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recording = recorded(tmp_path, gym.make("ALE/Pong-v5"))
    monkeypatch.setattr(rebuild, "rom_md5", lambda game: now if game == "pong" else "")
    assert version_differences(recording) == [f"ROM of pong {recording.metadata['rom_md5']} when recorded, {said}"]


def test_a_rom_that_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recording = recorded(tmp_path, gym.make("ALE/Pong-v5"))

    def fail(game):
        raise OSError("another ROM")

    monkeypatch.setattr(rebuild, "rom_md5", fail)
    (difference,) = version_differences(recording)
    assert difference.endswith("when recorded, cannot be read now: another ROM")
