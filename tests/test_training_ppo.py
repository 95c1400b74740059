"""The training of ``scripts/train_ppo.py``: its weights with the recorder and without, and its steps after a kill."""

import importlib

import pytest

import gym_h5record as h5r

torch = pytest.importorskip("torch")
kills, played, training = (importlib.import_module(f"scripts.ppo.{name}") for name in ("kills", "played", "training"))

SEED, NUM_STEPS = 3, 4 * training.ROLLOUT_STEPS * training.NUM_ENVS  # four updates


@pytest.fixture(autouse=True, scope="module")
def _deterministic():
    """Train alike, and leave PyTorch as it was for other tests."""
    num_threads, is_deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng():
        training.make_deterministic()
        yield
    torch.set_num_threads(num_threads)
    torch.use_deterministic_algorithms(is_deterministic)


def weights_of(seed):
    """The SHA-256 of the weights of a training without the recorder."""
    envs = training.make_envs()
    weights = training.Training(envs, seed, NUM_STEPS).run()
    envs.close()
    return weights


@pytest.fixture(scope="module")
def bare(_deterministic):
    weights = weights_of(SEED)
    assert weights_of(SEED + 1) != weights
    return weights


@pytest.mark.parametrize("writer", ["process", "inline"])
def test_the_weights_are_those_without_the_recorder(bare, writer, tmp_path):
    envs = h5r.vector.RecordToHDF5(training.make_envs(), tmp_path / "run.h5", writer=writer)
    recorded = training.Training(envs, SEED, NUM_STEPS)
    assert recorded.run() == bare
    envs.close()
    all_played = played.play(SEED, NUM_STEPS)
    num_resets = sum(len(episodes) - 1 for episodes in all_played.noted.lanes)
    assert num_resets > 20
    assert played.check_file(tmp_path / "run.h5", all_played) == NUM_STEPS - num_resets
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert recording.select("complete").returns.tolist() == recorded.returns


def test_a_killed_training_has_every_step_of_every_lane(tmp_path):
    path, num_steps, kill_at = tmp_path / "run.h5", 50 * NUM_STEPS, 2 * training.ROLLOUT_STEPS  # far from the end
    acknowledged = kills.record_and_kill(path, SEED, num_steps, kill_at, "the training and its writer process")
    assert acknowledged >= kill_at
    h5r.repair(path)
    until_then = played.play(SEED, num_steps, acknowledged)
    assert played.check_file(path, until_then) >= sum(map(sum, until_then.lengths[0]))
    with pytest.raises(ValueError, match=r"episodes of .* steps, expected one of"):
        played.check_file(path, played.play(SEED, num_steps, acknowledged + 2))  # the file may have one more
    until_then.noted.lanes[5][0]["rewards"][0] += 1
    with pytest.raises(ValueError, match=r"rewards of episode \d+, lane 5: others than those played"):
        played.check_file(path, until_then)
