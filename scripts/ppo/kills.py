"""Trainings that are killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["WAYS", "record_and_kill"]

WAYS = {
    "the training": ("process", False),
    "the training and its writer process": ("process", True),
    "the training, which writes itself": ("inline", False),
}
"""What is killed: the option ``writer``, and whether the writer process is killed too."""

_PROGRAM = Path(__file__).parents[1] / "train_ppo.py"


def record_and_kill(path: Path, seed: int, num_steps: int, kill_at: int, way: str) -> int:
    """Train in a process of its own, and kill it at a random instant after it has acknowledged so many vector steps.

    Args:
        path: The file to record.
        seed: The seed.
        num_steps: The length of the whole training.
        kill_at: How many vector steps.
        way: One of ``WAYS``.

    Returns:
        The number of vector steps that were acknowledged before the process was dead.

    Raises:
        RuntimeError: If the training ended by itself, or has no writer process to kill.
    """
    writer, with_writer = WAYS[way]
    options = {"--record": path, "--seed": seed, "--steps": num_steps, "--writer": writer, "--flush-interval-s": 0.05}
    words = [str(word) for pair in options.items() for word in pair]
    command = [sys.executable, str(_PROGRAM), "--acknowledge", *words]
    acknowledged, writers = 0, list[int]()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        for line in victim.stdout or ():
            acknowledged = int(line)
            if acknowledged == kill_at:
                time.sleep(random.uniform(0, 0.02))
                writers = _children(victim.pid) if with_writer else writers
                for pid in (victim.pid, *writers):
                    os.kill(pid, signal.SIGKILL)
    if victim.returncode != -signal.SIGKILL:
        raise RuntimeError(f"the training ended with {victim.returncode} after {acknowledged} vector steps")
    if with_writer and not writers:
        raise RuntimeError("the training had no writer process")
    return acknowledged


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
