"""How others sample transitions: functions for ``bench_sampler`` that give a batch at every call."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import gym_h5record as h5r

Columns = dict[str, np.ndarray]


def ways_of_peers(
    recording: h5r.Recording, columns: Columns, batch_size: int, folder: Path
) -> dict[str, Callable[[], object]]:
    """The ways that need nothing, or a package that is installed. They write their files into ``folder``."""
    has = {name: importlib.util.find_spec(name) is not None for name in ("stable_baselines3", "torchrl", "robomimic")}
    ways: dict[str, Callable[[], object]] = {}
    if has["stable_baselines3"]:
        buffer = stable_baselines3_buffer(recording, columns)
        ways["sb3"] = lambda: buffer.sample(batch_size)
    ways["h5py, LZF, chunks of 100"] = lzf_recipe(columns, folder / "lzf.h5", batch_size)
    if has["torchrl"]:
        ways["torchrl, memory-mapped"] = torchrl_memmap(columns, folder / "torchrl", batch_size)
    for cache in (None, "all") if has["robomimic"] else ():
        ways[f"robomimic, cache {cache}"] = robomimic_dataset(recording, folder / "robomimic.h5", batch_size, cache)
    return ways


def stable_baselines3_buffer(recording: h5r.Recording, columns: Columns) -> Any:
    """A buffer of Stable-Baselines3 with all steps in it."""
    import torch
    from stable_baselines3.common.buffers import ReplayBuffer

    torch.set_num_threads(1)  # as the samplers have: a batch is too small for two
    count = len(columns["rewards"])
    buffer = ReplayBuffer(count, recording.observation_space, recording.action_space, device="cpu")
    for name in ("observations", "next_observations", "rewards", "dones"):
        getattr(buffer, name)[:] = columns[name][:, None]
    buffer.actions[:] = columns["actions"].reshape(count, 1, -1)
    buffer.full = True
    return buffer


def lzf_recipe(columns: Columns, path: Path, batch_size: int) -> Callable[[], object]:
    """What tutorials show: LZF chunks of 100 rows, read with a sorted list of random rows."""
    file = h5py.File(path, "w")  # stays open for the batches
    for name, values in columns.items():
        file.create_dataset(name, data=values, chunks=(100, *values.shape[1:]), compression="lzf")
    random, count = np.random.default_rng(0), len(columns["rewards"])

    def sample() -> list[np.ndarray]:
        rows = np.sort(random.choice(count, batch_size, replace=False))
        return [file[name][rows] for name in columns]

    return sample


def torchrl_memmap(columns: Columns, folder: Path, batch_size: int) -> Callable[[], object]:
    """A replay buffer of torchrl that maps uncompressed files."""
    import torch
    from tensordict import TensorDict
    from torchrl.data import LazyMemmapStorage, ReplayBuffer

    count = len(columns["rewards"])
    storage = LazyMemmapStorage(count, scratch_dir=folder)
    buffer = ReplayBuffer(storage=storage, batch_size=batch_size)
    buffer.extend(TensorDict({name: torch.tensor(each) for name, each in columns.items()}, batch_size=[count]))
    return buffer.sample


def robomimic_dataset(recording: h5r.Recording, path: Path, batch_size: int, cache: str | None) -> Callable[[], object]:
    """Items of robomimic's dataset, which reads an uncompressed file or has decoded all of it, as a batch."""
    from robomimic.utils.dataset import SequenceDataset

    if not path.exists():
        with h5py.File(path, "w") as file:
            for number, episode in enumerate(each for each in recording if len(each)):
                group = file.create_group(f"data/demo_{number}")
                group.attrs["num_samples"] = len(episode)
                observations = np.asarray(episode.observations)
                group["obs/all"], group["next_obs/all"] = observations[:-1], observations[1:]
                group["actions"] = np.asarray(episode.actions).reshape(
                    len(episode), int(np.prod(recording.action_space.shape))
                )
                group["rewards"], group["dones"] = np.asarray(episode.rewards), np.asarray(episode.dones)
            file["data"].attrs["total"] = recording.num_steps
    with contextlib.redirect_stdout(None):
        dataset = SequenceDataset(str(path), ["all"], ["actions", "rewards", "dones"], hdf5_cache_mode=cache)
    random = np.random.default_rng(0)

    def sample() -> list[Any]:
        items = [dataset[int(row)] for row in random.integers(0, len(dataset), batch_size)]
        values = [[item["actions"], item["obs"]["all"], item["next_obs"]["all"], item["rewards"]] for item in items]
        return [np.stack(each) for each in zip(*values, strict=True)]

    return sample
