"""The front door: opens at once, says what is in the file, and gives everything back."""

from __future__ import annotations

import math
import os
import pickle
import time
from pathlib import Path

import ale_py
import gymnasium as gym
import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from tests.reading import NESTED, PICTURE, Reads, record, write_ones
from tests.writing import Pen, each_writer, make_schema, run_script
from tests.zoo import ZooEnv, check_recorded, play

pytestmark = pytest.mark.compacted

gym.register_envs(ale_py)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with metadata of the user's; do not change it."""
    where = tmp_path_factory.mktemp("recording") / "run.h5"
    record(
        where,
        ZooEnv(NESTED, spaces.Discrete(4), rewards=(0.5,), length=10),
        [10, 4, 0, 10],
        metadata={"run_id": "run 7", "agent_id": "me", "rate": 0.1, "list": [1, (2,)], "ключ": None},
    )
    return where


# Opening -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_episodes", [10, 100_000])
def test_opening_reads_only_the_commit(num_episodes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ones(tmp_path / "run.h5", num_episodes)
    reads = Reads(monkeypatch)
    recording = h5r.Recording(tmp_path / "run.h5")
    assert (recording.num_episodes, recording.num_steps, recording.num_rows) == (
        *(num_episodes, num_episodes, 2 * num_episodes),
    )
    assert recording.observation_space.shape == (1,)
    assert len(recording.episodes) == num_episodes
    assert len(recording.rows.observations) == 2 * num_episodes
    assert repr(recording)
    assert reads.take() == {"commit"}


def bytes_read() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.skipif(not os.access("/proc/self/io", os.R_OK), reason="this system does not count bytes read")
def test_opening_reads_as_many_bytes_whatever_the_size_of_the_file(tmp_path: Path) -> None:
    read = {}
    for num_episodes in (10, 100_000):
        path = tmp_path / f"{num_episodes}.h5"
        write_ones(path, num_episodes)
        before = bytes_read()
        recording = h5r.Recording(path)
        assert len(recording.episodes) == num_episodes
        read[path.stat().st_size] = bytes_read() - before
    (small, few), (large, many) = sorted(read.items())
    assert large > 20 * small
    assert many <= few + 20_000


def test_opening_a_large_file_takes_no_time_to_speak_of(tmp_path: Path) -> None:
    write_ones(tmp_path / "run.h5", 100_000)
    fastest = math.inf
    for _ in range(3):
        start = time.perf_counter()
        recording = h5r.Recording(tmp_path / "run.h5")
        assert recording.episodes[-1].seed == 99_999
        fastest = min(fastest, time.perf_counter() - start)
        recording.close()
    assert fastest < 0.5  # ten times what is measured


def test_the_path_may_be_text_or_a_path(path: Path) -> None:
    assert h5r.Recording(str(path)).path == h5r.Recording(path).path == path


@pytest.mark.parametrize(
    "statement", ["from gym_h5record import Recording", "import gym_h5record.reading.recording"], ids=["public", "own"]
)
def test_importing_the_reader_loads_nothing_that_writes_or_replays(statement: str) -> None:
    rooms = tuple(f"gym_h5record.{room}" for room in ("writing", "recorder", "maintenance", "replay", "cli"))
    script = f"{statement}\nimport sys\nprint([name for name in sys.modules if name.startswith({rooms!r})])"
    assert run_script(script).stdout == "[]\n"


# What is in it -----------------------------------------------------------------------------------


def test_counts_are_those_of_the_file(path: Path) -> None:
    with h5r.Recording(path) as recording:
        assert (recording.num_episodes, recording.num_steps, recording.num_rows, recording.num_envs) == (4, 24, 28, 1)
        assert str(recording) == f"<Recording {str(path)!r}: 4 episodes, 24 steps>"
        assert recording.lengths.tolist() == [10, 4, 0, 10]
        assert recording.returns.tolist() == [5.0, 2.0, 0.0, 5.0]
        assert recording.fps == 30


def test_lengths_and_returns_are_the_callers_own(path: Path) -> None:
    recording = h5r.Recording(path)
    for name in ("lengths", "returns"):
        getattr(recording, name)[:] = 99
        assert 99 not in getattr(recording, name)
    assert recording.episodes[0].length == 10


def test_spaces_come_back_equal(path: Path) -> None:
    recording = h5r.Recording(path)
    assert recording.observation_space == NESTED
    assert recording.action_space == spaces.Discrete(4)
    assert recording.observation_space is recording.observation_space


def test_metadata_is_the_users_and_ours(path: Path) -> None:
    metadata = h5r.Recording(path).metadata
    assert (metadata["run_id"], metadata["agent_id"]) == ("run 7", "me")
    assert (metadata["rate"], metadata["list"], metadata["ключ"]) == (0.1, [1, (2,)], None)
    assert metadata["user"] == {"rate": 0.1, "list": [1, (2,)], "ключ": None}
    assert (metadata["total_steps"], metadata["total_episodes"]) == (24, 4)
    assert type(metadata["total_steps"]) is int
    assert metadata["versions"]["h5py"] == h5py.__version__
    assert isinstance(metadata["platform"], dict)


def test_the_spec_makes_the_environment_again(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", gym.make("CartPole-v1", max_episode_steps=7), [7])
    recording = h5r.Recording(tmp_path / "run.h5")
    assert recording.env_spec is not None
    assert recording.env_spec.id == "CartPole-v1"
    assert recording.env_spec.max_episode_steps == 7
    assert gym.make(recording.env_spec).observation_space == recording.observation_space


def test_an_environment_without_a_spec_has_none(path: Path) -> None:
    assert h5r.Recording(path).env_spec is None


def test_columns_by_row_line_up(path: Path) -> None:
    recording = h5r.Recording(path)
    for name in ("observations", "infos", "actions", "rewards", "terminations", "truncations", "dones"):
        assert len(getattr(recording.rows, name)) == recording.num_rows
    for episode in recording.episodes:
        rows = slice(episode.start, episode.start + episode.length)
        assert np.array_equal(recording.rows.actions[rows], episode.actions[:])
        assert np.array_equal(recording.rows.rewards[rows], episode.rewards[:])
        assert np.array_equal(recording.rows.dones[rows], episode.terminations[:] | episode.truncations[:])
        pictures = recording.rows.observations[episode.start : episode.start + episode.length + 1]["picture"]
        assert np.array_equal(pictures, episode.observations[:]["picture"])


def test_a_transition_is_one_row_and_the_next(path: Path) -> None:
    recording = h5r.Recording(path)
    episode = recording.episodes[3]
    for step in range(episode.length):
        row = episode.start + step
        following = recording.rows.observations[row + 1]["picture"]
        assert np.array_equal(following, episode.observations[step + 1]["picture"])


@each_writer
def test_linked_frames_are_the_observations(writer: str, tmp_path: Path) -> None:
    env = h5r.RecordToHDF5(gym.make("ALE/Pong-v5", frameskip=4), tmp_path / "run.h5", writer=writer)
    played = play(env, [20])
    env.close()
    recording = h5r.Recording(tmp_path / "run.h5")
    check_recorded(recording, played)
    assert recording.rows.frames is not None
    assert recording.rows.frames.shape == (21, 210, 160, 3)
    assert np.array_equal(recording.rows.frames[5:9], recording.rows.observations[5:9])
    assert np.array_equal(recording.episodes[0].frames[20], played[0].observations[20])  # type: ignore[index]


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_no_plugin_is_needed_to_read(compression: str, tmp_path: Path) -> None:
    played = record(tmp_path / "run.h5", ZooEnv(PICTURE, length=40), [40], compression=compression)
    script = """
        import sys
        sys.modules["hdf5plugin"] = None
        import h5py, numpy as np
        import gym_h5record as h5r
        assert not any(map(h5py.h5z.filter_avail, (32004, 32015)))
        np.save(sys.argv[2], h5r.Recording(sys.argv[1]).episodes[0].observations)
    """
    run_script(script, tmp_path / "run.h5", tmp_path / "found.npy")
    assert np.array_equal(np.load(tmp_path / "found.npy"), np.stack(played[0].observations))


def test_an_empty_recording_can_be_looked_at(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", make_schema(PICTURE, infos=[{"x": 1}])):
        pass
    recording = h5r.Recording(tmp_path / "run.h5")
    assert (recording.num_rows, recording.num_steps, recording.num_episodes) == (0, 0, 0)
    assert recording.rows.observations[:].shape == (0, 84, 84)
    assert recording.rows.rewards[:].shape == recording.rows.dones.shape == (0,)
    assert recording.rows.infos is not None
    assert recording.rows.infos[:] == []
    assert list(recording.rows.observations) == list(recording.episodes) == []
    assert recording.lengths.tolist() == recording.returns.tolist() == []


# Life --------------------------------------------------------------------------------------------


def test_leaving_the_context_closes_the_file_even_after_an_error(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run.h5"
    copy.write_bytes(path.read_bytes())
    with pytest.raises(KeyError), h5r.Recording(copy):
        raise KeyError
    with h5py.File(copy, "r+"):  # which HDF5 refuses for a file that is open
        pass


def test_pickling_keeps_nothing_but_the_path(path: Path) -> None:
    recording = h5r.Recording(path)
    recording.rows.observations[:]
    assert len(pickle.dumps(recording)) < 500
    assert pickle.loads(pickle.dumps(recording)).num_steps == 24


def test_memory_does_not_grow_while_a_large_file_is_read_through(tmp_path: Path) -> None:
    script = """
        import resource, sys
        import gym_h5record as h5r
        recording = h5r.Recording(sys.argv[1])
        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for row in range(100):
            recording.rows.observations[row]
        before = peak()
        for row in range(100, recording.num_rows):
            recording.rows.observations[row]
        assert peak() - before < 8 << 10, (before, peak())
    """
    with Pen(tmp_path / "run.h5", make_schema(PICTURE), row_bytes=7056) as pen:
        pen.begin(np.zeros((84, 84), np.uint8))
        for step in range(1, 4000):
            pen.step(np.full((84, 84), step % 256, np.uint8))
    assert run_script(script, tmp_path / "run.h5").stderr == ""
