"""What a recording and a selection offer to a training loop: methods that load ``training`` when called."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

import gym_h5record as h5r
from tests.reading import record
from tests.zoo import SPACES_BY_ID, ZooEnv


def test_recordings_and_selections_have_statistics(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(SPACES_BY_ID["Box-rank0"], rewards=(1.0, 3.0), length=20))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert recording.stats().num_steps == recording.num_steps
        assert recording.stats()["rewards"].mean == np.mean(recording.steps.rewards[:])
        some = recording[[3, 1]]
        assert some.stats()["rewards"].mean == np.mean(some.steps.rewards[:])
        assert some.stats().episodes.numbers.tolist() == [3, 1]


def test_statistics_of_the_same_file_are_the_same_every_time(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(SPACES_BY_ID["Box-rank0"]))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert repr(recording.stats()["observations"].quantiles) == repr(recording.stats()["observations"].quantiles)


def test_a_program_that_only_reads_loads_nothing_of_training(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(SPACES_BY_ID["Box-rank0"]))
    code = (
        f"import sys, gym_h5record as h5r; recording = h5r.Recording({str(tmp_path / 'run.h5')!r}); "
        "recording.steps.observations[:]; print([name for name in sys.modules if 'training' in name]); "
        "recording.stats(); print('gym_h5record.training.statistics_reading' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert found.stdout.split() == ["[]", "True"]
