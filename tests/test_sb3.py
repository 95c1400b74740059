"""The replay buffer for Stable-Baselines3: every batch that of its own buffer, from memory and from the file."""

import copy
import importlib
import itertools
import pickle
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import (
    MissingDependencyError,
    OptionError,
    RecordingExistsError,
    RecordingInUseError,
    RecordingNotFoundError,
    RecordingWarning,
    SchemaMismatchError,
    UnsupportedSpaceError,
)

MODULE = "gym_h5record.sb3"
INFINITE = float("inf")


def test_a_missing_library_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.delattr(h5r, "sb3", raising=False)
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    with pytest.raises(MissingDependencyError, match=r'stable-baselines3.*pip install "gym_h5record\[sb3\]"'):
        importlib.import_module(MODULE)


@pytest.fixture(scope="module")
def sb3():
    return pytest.importorskip("stable_baselines3")


@pytest.fixture(scope="module")
def theirs(sb3):
    """The module of the buffers of Stable-Baselines3."""
    return importlib.import_module("stable_baselines3.common.buffers")


@pytest.fixture(scope="module")
def face(sb3):
    """``gym_h5record.sb3``."""
    return importlib.import_module(MODULE)


OBSERVATIONS = {
    "vector": spaces.Box(-INFINITE, INFINITE, (3,), np.float32),
    "double": spaces.Box(-INFINITE, INFINITE, (2,), np.float64),
    "pictures": spaces.Box(0, 255, (4, 9, 8), np.uint8),
    "number": spaces.Discrete(1 << 20),
    "numbers": spaces.MultiDiscrete([7, 9]),
    "bits": spaces.MultiBinary(5),
    "dict": spaces.Dict({"at": spaces.Box(-9, 9, (2,), np.float32), "gear": spaces.Discrete(5)}),
}
ACTIONS = {
    "discrete": spaces.Discrete(4),
    "box": spaces.Box(-2, 2, (2, 3), np.float32),
    "doubles": spaces.Box(-2, 2, (2,), np.float64),
    "multi": spaces.MultiDiscrete([3, 4]),
    "binary": spaces.MultiBinary(3),
}
VECTOR, DISCRETE = OBSERVATIONS["vector"], ACTIONS["discrete"]


def batched(value):
    """A value with the axis of one environment in front."""
    return {key: np.array([each]) for key, each in value.items()} if isinstance(value, dict) else np.array([value])


def transitions(observation_space, action_space, lengths, seed=0):
    """What Stable-Baselines3 gives to ``add``: episodes end in turn by termination, truncation and both flags."""
    observation_space.seed(seed)
    random = np.random.default_rng(seed)
    for episode, length in enumerate(lengths):
        before = observation_space.sample()
        for step in range(length):
            after, is_last = observation_space.sample(), step == length - 1
            action = random.uniform(-1, 1, action_space.shape) if isinstance(action_space, spaces.Box) else None
            action = random.integers(0, 2, action_space.shape) if action is None else action
            info = {"TimeLimit.truncated": is_last and episode % 3 == 1, "lives": step}
            if is_last:
                info["terminal_observation"] = after
            reward = np.array([random.normal()], np.float32)
            yield batched(before), batched(after), np.array([action]), reward, np.array([is_last]), [info]
            before = after


def check_same(found, expected):
    assert type(found) is type(expected)
    for one, other in zip(found, expected, strict=True):
        pairs = [(one[key], other[key]) for key in other] if isinstance(other, dict) else [(one, other)]
        for tensor, wanted in pairs:
            assert (tensor is None) == (wanted is None)
            if wanted is not None:
                np.testing.assert_array_equal(tensor.numpy(), wanted.numpy(), strict=True)


def both_samples(ours, other, seed, size=8, env=None):
    found = []
    for buffer in (ours, other):
        np.random.seed(seed)
        found.append(buffer.sample(size, env=env))
    return found


class Pair:
    """Our buffer and theirs, fed with the same steps."""

    def __init__(self, face, theirs, path, observation_space, action_space, size, *, timeouts=True, **options):
        self.spaces = (observation_space, action_space)
        shared = {"device": "cpu", "handle_timeout_termination": timeouts}
        self.ours = face.ReplayBuffer(size, *self.spaces, **shared, path=path, **options)
        kind = theirs.DictReplayBuffer if isinstance(observation_space, spaces.Dict) else theirs.ReplayBuffer
        self.theirs = kind(size, *self.spaces, **shared)

    def add(self, lengths, seed=0):
        for step in transitions(*self.spaces, lengths, seed):
            self.ours.add(*copy.deepcopy(step))
            self.theirs.add(*copy.deepcopy(step))
            yield

    def check(self, seed=0, size=8):
        assert (self.ours.pos, self.ours.full, self.ours.size()) == (
            self.theirs.pos,
            self.theirs.full,
            self.theirs.size(),
        )
        check_same(*both_samples(self.ours, self.theirs, seed, size))


def fill(pair, lengths, seed=0):
    for _ in pair.add(lengths, seed):
        pass


# Samples ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("actions", ACTIONS.values(), ids=list(ACTIONS))
def test_batches_are_those_of_their_buffer_for_every_action(face, theirs, tmp_path, actions):
    pair = Pair(face, theirs, tmp_path / "a.h5", VECTOR, actions, 100, memory_bytes=200)
    fill(pair, (5, 4, 3, 7))
    for seed in range(3):
        pair.check(seed)
    pair.ours.close()


@pytest.mark.parametrize("observations", OBSERVATIONS.values(), ids=list(OBSERVATIONS))
def test_batches_are_those_of_their_buffer_for_every_observation(face, theirs, tmp_path, observations):
    pair = Pair(face, theirs, tmp_path / "a.h5", observations, DISCRETE, 100, memory_bytes=300)
    fill(pair, (5, 4, 3, 7))
    for seed in range(3):
        pair.check(seed, 30)
    pair.ours.close()


@pytest.mark.parametrize("size", [7, 24, 1000], ids=["small", "middle", "all"])
@pytest.mark.parametrize("memory_bytes", [1, 400, 1 << 20], ids=["file", "both", "memory"])
def test_batches_are_those_of_their_buffer_while_steps_are_added(face, theirs, tmp_path, size, memory_bytes):
    pair = Pair(face, theirs, tmp_path / "a.h5", VECTOR, DISCRETE, size, memory_bytes=memory_bytes)
    for number, _ in enumerate(pair.add((1, 9, 4, 2, 6, 8))):
        pair.check(number)
    pair.ours.close()
    pair.check()


def test_samples_within_one_long_episode_are_right(face, theirs, tmp_path):
    pair = Pair(face, theirs, tmp_path / "a.h5", VECTOR, DISCRETE, 1000, memory_bytes=100)
    for number, _ in enumerate(pair.add((300,))):
        if number % 30 == 29:
            pair.check(number, 50)
    pair.ours.close()


@pytest.mark.parametrize("timeouts", [True, False])
def test_truncated_episodes_are_done_only_if_timeouts_are_not_handled(face, theirs, tmp_path, timeouts):
    pair = Pair(face, theirs, tmp_path / "a.h5", VECTOR, DISCRETE, 100, timeouts=timeouts, memory_bytes=1)
    fill(pair, (1, 1, 1, 1))  # the second one is truncated
    pair.check(0, 40)
    assert pair.ours.sample(200).dones.mean() == 1 or timeouts
    pair.ours.close()


def test_normalised_samples_are_those_of_their_buffer(face, theirs, sb3, tmp_path):
    vec_env = importlib.import_module("stable_baselines3.common.vec_env")
    env = vec_env.VecNormalize(vec_env.DummyVecEnv([lambda: gym.make("Pendulum-v1")]))
    env.reset()
    for _ in range(20):
        env.step(np.array([[0.3]]))
    pair = Pair(face, theirs, tmp_path / "a.h5", env.observation_space, env.action_space, 100, memory_bytes=500)
    fill(pair, (6, 8))
    check_same(*both_samples(pair.ours, pair.theirs, 0, 20, env))
    pair.ours.close()


def test_steps_of_before_a_reset_are_not_sampled_and_stay_in_the_file(face, theirs, tmp_path):
    pair = Pair(face, theirs, tmp_path / "a.h5", VECTOR, DISCRETE, 9, memory_bytes=1)
    fill(pair, (5, 6))
    pair.ours.reset()
    pair.theirs.reset()
    assert pair.ours.size() == 0
    for number, _ in enumerate(pair.add((5, 8), seed=1)):
        pair.check(number)
    pair.ours.close()
    with h5r.Recording(tmp_path / "a.h5") as recording:
        assert recording.lengths.tolist() == [5, 6, 5, 8]


# The file -----------------------------------------------------------------------------------------------


def test_the_file_has_the_episodes(face, theirs, tmp_path):
    pair = Pair(face, theirs, tmp_path / "a.h5", VECTOR, DISCRETE, 5, metadata={"agent": "x"})
    fill(pair, (4, 3, 2))
    fill(itertools_pair := pair, (2,), seed=5)
    assert itertools_pair.ours.size() == 5
    pair.ours.close()
    steps = [*transitions(VECTOR, DISCRETE, (4, 3, 2)), *transitions(VECTOR, DISCRETE, (2,), 5)]
    with h5r.Recording(tmp_path / "a.h5") as recording:
        assert recording.lengths.tolist() == [4, 3, 2, 2]
        assert [each.terminated for each in recording] == [True, False, True, True]
        assert [each.truncated for each in recording] == [False, True, False, False]
        assert recording.action_space == DISCRETE
        assert recording.metadata["agent"] == "x"
        for column, place in ((recording.steps.observations, 0), (recording.steps.next_observations, 1)):
            np.testing.assert_array_equal(column[:], np.concatenate([each[place] for each in steps]))
        np.testing.assert_array_equal(recording.steps.actions[:], np.concatenate([each[2] for each in steps]))
        np.testing.assert_array_equal(recording.steps.rewards[:], np.concatenate([each[3] for each in steps]))
        assert recording[0].infos[-1] == {"lives": 3}
    assert not h5r.validate(tmp_path / "a.h5")


def test_an_episode_that_was_left_is_incomplete(face, tmp_path):
    buffer = face.ReplayBuffer(10, VECTOR, DISCRETE, path=tmp_path / "a.h5", infos=False)
    for seed, count in ((0, 2), (1, 3)):
        for step in itertools.islice(transitions(VECTOR, DISCRETE, (5,), seed), count):
            buffer.add(*step)
    buffer.close()
    with h5r.Recording(tmp_path / "a.h5") as recording:
        assert recording.lengths.tolist() == [2, 3]
        assert not any(each.complete for each in recording)
        assert recording[0].infos[-1] == {}


def test_scaled_actions_have_a_space_of_their_own(face, tmp_path):
    box = spaces.Box(np.array([-2, 0]), np.array([3, 5]), dtype=np.float64)
    buffer = face.ReplayBuffer(10, VECTOR, box, path=tmp_path / "a.h5")
    buffer.add(*next(transitions(VECTOR, box, (5,))))
    buffer.close()
    with h5r.Recording(tmp_path / "a.h5") as recording:
        assert recording.action_space == spaces.Box(-1, 1, (2,), np.float32)
        assert recording.metadata["action_low"] == [-2, 0]
        assert recording.metadata["action_high"] == [3, 5]


def test_a_closed_buffer_goes_on(face, theirs, tmp_path):
    pair = Pair(face, theirs, tmp_path / "a.h5", VECTOR, DISCRETE, 20, memory_bytes=150)
    fill(pair, (5, 6))
    pair.ours.close()
    pair.check()
    fill(pair, (7, 4), seed=1)
    pair.check()
    pair.ours.close()
    pair.ours.close()
    with h5r.Recording(tmp_path / "a.h5") as recording:
        assert recording.lengths.tolist() == [5, 6, 7, 4]


def test_a_buffer_begins_with_the_steps_of_the_file(face, theirs, tmp_path):
    pair = Pair(face, theirs, tmp_path / "a.h5", VECTOR, DISCRETE, 8, memory_bytes=150, mode="a")
    fill(pair, (5, 6))
    pair.ours.close()
    pair.ours = face.ReplayBuffer(8, VECTOR, DISCRETE, "cpu", path=tmp_path / "a.h5", mode="a")
    pair.check()
    fill(pair, (7,), seed=1)
    pair.check()
    pair.ours.close()


def test_a_file_with_other_spaces_is_refused(face, tmp_path):
    buffer = face.ReplayBuffer(8, VECTOR, DISCRETE, path=tmp_path / "a.h5")
    buffer.add(*next(transitions(VECTOR, DISCRETE, (5,))))
    buffer.close()
    with pytest.raises(SchemaMismatchError, match="has observations of"):
        face.ReplayBuffer(8, OBSERVATIONS["double"], DISCRETE, path=tmp_path / "a.h5", mode="a")
    other = face.ReplayBuffer(8, VECTOR, ACTIONS["box"], path=tmp_path / "a.h5", mode="a")
    with pytest.raises(SchemaMismatchError, match="action"):
        other.add(*next(transitions(VECTOR, ACTIONS["box"], (5,))))


def test_a_file_is_not_overwritten(face, tmp_path):
    (tmp_path / "a.h5").write_bytes(b"mine")
    buffer = face.ReplayBuffer(8, VECTOR, DISCRETE, path=tmp_path / "a.h5")
    with pytest.raises(RecordingExistsError):
        buffer.add(*next(transitions(VECTOR, DISCRETE, (5,))))
    assert (tmp_path / "a.h5").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_envs": 4}, "n_envs: expected 1, got 4: a file has the steps of one environment"),
        ({"optimize_memory_usage": True}, "optimize_memory_usage: expected False"),
        ({"buffer_size": 0}, "buffer_size: expected a positive integer, got 0"),
        ({"buffer_size": 1.5}, r"buffer_size: expected a positive integer, got 1\.5"),
        ({"memory_bytes": 1e9}, "memory_bytes: expected a positive integer"),
    ],
    ids=["n_envs", "optimize_memory_usage", "no steps", "half a step", "memory"],
)
def test_wrong_options_are_named(face, tmp_path, options, message):
    arguments = {"buffer_size": 8, "observation_space": VECTOR, "action_space": DISCRETE, **options}
    with pytest.raises(OptionError, match=message):
        face.ReplayBuffer(**arguments, path=tmp_path / "a.h5")
    assert not any(tmp_path.iterdir())


def test_dict_spaces_within_dict_spaces_are_refused(face, tmp_path):
    nested = spaces.Dict({"in": spaces.Dict({"a": VECTOR})})
    with pytest.raises(UnsupportedSpaceError, match="'in' is a Dict in a Dict"):
        face.ReplayBuffer(8, nested, DISCRETE, path=tmp_path / "a.h5")


# Saved buffers ------------------------------------------------------------------------------------------


def test_a_saved_buffer_goes_on_where_it_was(face, theirs, tmp_path):
    pair = Pair(face, theirs, tmp_path / "a.h5", VECTOR, DISCRETE, 9, memory_bytes=150)
    fill(pair, (5, 6))
    saved = pickle.dumps(pair.ours)
    assert len(saved) < 3000
    pair.ours.close()
    pair.ours = pickle.loads(saved)
    pair.check()
    for number, _ in enumerate(pair.add((7, 4), seed=1)):
        pair.check(number)
    pair.ours.close()


def test_a_copy_reads_while_the_buffer_records_and_cannot_record(face, theirs, tmp_path):
    pair = Pair(face, theirs, tmp_path / "a.h5", VECTOR, DISCRETE, 9)
    fill(pair, (5, 6))
    ours, pair.ours = pair.ours, copy.deepcopy(pair.ours)
    pair.check()
    with pytest.raises(RecordingInUseError):
        fill(pair, (3,))
    ours.close()


def test_a_saved_buffer_says_that_its_file_has_more_steps(face, theirs, tmp_path):
    pair = Pair(face, theirs, tmp_path / "a.h5", VECTOR, DISCRETE, 9)
    fill(pair, (5,))
    saved = pickle.dumps(pair.ours)
    fill(pair, (6,), seed=1)
    pair.ours.close()
    with pytest.warns(RecordingWarning, match="has 11 steps, and the buffer had 5 when it was saved: it now has the"):
        pair.ours = pickle.loads(saved)
    pair.check()


def test_a_saved_buffer_refuses_another_file(face, tmp_path):
    saved = []
    for length in (5, 6, 3):
        buffer = face.ReplayBuffer(9, VECTOR, DISCRETE, path=tmp_path / "a.h5", mode="w")
        for step in transitions(VECTOR, DISCRETE, (length,)):
            buffer.add(*step)
        saved.append(pickle.dumps(buffer))
        buffer.close()
    for each in saved[:2]:
        with pytest.raises(OptionError, match="when it was saved: it is another file"):
            pickle.loads(each)
    assert pickle.loads(saved[2]).size() == 3
    (tmp_path / "a.h5").unlink()
    with pytest.raises(RecordingNotFoundError):
        pickle.loads(saved[2])


def test_a_buffer_without_steps_can_be_saved(face, tmp_path):
    buffer = pickle.loads(pickle.dumps(face.ReplayBuffer(9, VECTOR, DISCRETE, path=tmp_path / "a.h5")))
    assert buffer.size() == 0
    buffer.add(*next(transitions(VECTOR, DISCRETE, (5,))))
    assert buffer.size() == 1
    buffer.close()


# Whole runs ---------------------------------------------------------------------------------------------


def weights(model):
    return {name: tensor.numpy() for name, tensor in model.policy.state_dict().items()}


def run(sb3, buffer=None, **options):
    shared = {"learning_starts": 20, "train_freq": 2, "buffer_size": 60, "device": "cpu", "seed": 0}
    model = sb3.DQN("MlpPolicy", gym.make("CartPole-v1"), **shared, replay_buffer_class=buffer, **options)
    return model.learn(150)


def test_a_run_is_the_same_as_with_their_buffer(face, sb3, tmp_path):
    ours = run(sb3, face.ReplayBuffer, replay_buffer_kwargs={"path": tmp_path / "a.h5", "memory_bytes": 800})
    expected = weights(run(sb3))
    for name, found in weights(ours).items():
        np.testing.assert_array_equal(found, expected[name])
    ours.replay_buffer.close()
    with h5r.Recording(tmp_path / "a.h5") as recording:
        assert recording.num_steps == 150
        assert recording[:-1].steps.observations[:].shape[1:] == (4,)
        assert all(each.terminated for each in recording[:-1])


def test_a_saved_model_goes_on_and_loading_it_touches_no_file(face, sb3, tmp_path):
    model = run(sb3, face.ReplayBuffer, replay_buffer_kwargs={"path": tmp_path / "a.h5", "mode": "w"})
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "buffer")
    model.replay_buffer.close()
    content = (tmp_path / "a.h5").read_bytes()
    again = sb3.DQN.load(tmp_path / "model", env=gym.make("CartPole-v1"), device="cpu")
    assert again.replay_buffer.size() == 0
    again.load_replay_buffer(tmp_path / "buffer")
    assert again.replay_buffer.size() == 60
    assert (tmp_path / "a.h5").read_bytes() == content
    again.learn(30, reset_num_timesteps=False)
    again.replay_buffer.close()
    with h5r.Recording(tmp_path / "a.h5") as recording:
        assert recording.num_steps == 180


def test_continuous_actions_are_those_of_their_buffer(face, sb3, tmp_path):
    buffers = []
    for options in (
        {},
        {"replay_buffer_class": face.ReplayBuffer, "replay_buffer_kwargs": {"path": tmp_path / "a.h5"}},
    ):
        model = sb3.TD3("MlpPolicy", gym.make("Pendulum-v1"), learning_starts=30, device="cpu", seed=0, **options)
        buffers.append(model.learn(40).replay_buffer)
    check_same(*both_samples(*reversed(buffers), 0, 50))
    buffers[1].close()
    with h5r.Recording(tmp_path / "a.h5") as recording:
        assert np.abs(recording.steps.actions[:]).max() <= 1
        assert recording.metadata["action_high"] == [2.0]
