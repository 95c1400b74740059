"""The recordings, appends and repairs that are stopped at their writes.

They have few rows, but small rings that wrap around, a journal that has to grow, and chunks and
index blocks that fill up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from .processes import Victim
from .victim import Record, Repair

__all__ = ["LANE_SCENES", "OF_LANES", "SCENES", "Scene", "prepare", "task_of"]


@dataclass(frozen=True)
class Scene:
    """A recording, an append or a repair that is stopped at its writes.

    Attributes:
        name: Its line in the table.
        env: The environment to record.
        steps: Acts of the traced recorder, see ``promises``; 0 if ``repair`` is traced.
        flush_every: Acts between two commits.
        ring_rows: Rows that the journal has room for.
        before: Acts of an earlier recorder of the same file, 0 if there is none.
        closed: Whether the earlier recorder closed the file; else it was killed.
        durability: As in ``RecordToHDF5``.
        stride: Divides the number of inspected writes; scenes with many steps take long to compare.
    """

    name: str
    env: str
    steps: int
    flush_every: int
    ring_rows: int
    before: int = 0
    closed: bool = False
    durability: str = "process"
    stride: int = 1


_RECORDING = "a recording, from start to close"
_RESUMING = '`mode="a"` after a crash'
_APPENDING = '`mode="a"` after `close`'
_REPAIRING = "`repair` after a crash"
_POWER = '`durability="power"`, all of these'

OF_LANES = ", of lanes"

SCENES = (
    Scene(_RECORDING, "Ragged", 50, flush_every=7, ring_rows=64),
    Scene(_RECORDING, "FrozenLake-v1", 1200, flush_every=150, ring_rows=1024, stride=3),
    Scene(_RECORDING, "CartPole-v1", 1200, flush_every=150, ring_rows=1024, stride=3),
    Scene(_RECORDING, "ALE/Breakout-v5", 40, flush_every=9, ring_rows=16),
    Scene(_RESUMING, "Ragged", 25, flush_every=6, ring_rows=64, before=30),
    Scene(_RESUMING, "FrozenLake-v1", 300, flush_every=100, ring_rows=1024, before=900, stride=2),
    Scene(_RESUMING, "ALE/Breakout-v5", 20, flush_every=6, ring_rows=16, before=25),
    Scene(_APPENDING, "Ragged", 25, flush_every=6, ring_rows=16, before=30, closed=True),
    # With 2,100 rows, a block of the chunk index is larger than a page.
    Scene(_APPENDING, "ALE/Breakout-v5", 12, flush_every=4, ring_rows=16, before=2100, closed=True, stride=4),
    Scene(_REPAIRING, "Ragged", 0, flush_every=20, ring_rows=64, before=37),
    Scene(_REPAIRING, "CartPole-v1", 0, flush_every=300, ring_rows=1024, before=900),
    Scene(_REPAIRING, "ALE/Breakout-v5", 0, flush_every=10, ring_rows=16, before=25),
    Scene(_POWER, "Ragged", 40, flush_every=7, ring_rows=64, durability="power"),
    Scene(_POWER, "Ragged", 20, flush_every=6, ring_rows=64, before=30, durability="power"),
    Scene(_POWER, "Ragged", 0, flush_every=20, ring_rows=64, before=37, durability="power"),
    Scene(_RECORDING, "Studio", 70, flush_every=9, ring_rows=32),
    Scene(_RESUMING, "Studio", 40, flush_every=7, ring_rows=32, before=45),
    Scene(_APPENDING, "Studio", 40, flush_every=7, ring_rows=64, before=60, closed=True),
    Scene(_REPAIRING, "Studio", 0, flush_every=23, ring_rows=64, before=61),
    Scene(_POWER, "Studio", 45, flush_every=8, ring_rows=32, durability="power"),
)

_LANES = [f"Lanes/{name}" for name in ("NEXT_STEP", "SAME_STEP", "DISABLED", "in step")]
LANE_SCENES = (
    *(Scene(f"{_RECORDING}{OF_LANES}", env, 75, flush_every=7, ring_rows=16) for env in _LANES),
    *(Scene(f"{_RESUMING}{OF_LANES}", env, 40, flush_every=6, ring_rows=32, before=50) for env in _LANES),
    *(Scene(f"{_APPENDING}{OF_LANES}", env, 30, flush_every=5, ring_rows=8, before=40, closed=True) for env in _LANES),
    *(Scene(f"{_REPAIRING}{OF_LANES}", env, 0, flush_every=31, ring_rows=64, before=70) for env in _LANES),
    *(Scene(f"{_POWER}{OF_LANES}", env, 40, flush_every=7, ring_rows=16, durability="power") for env in _LANES),
    Scene(f"{_RECORDING}{OF_LANES}", "Lanes/1024", 9, flush_every=3, ring_rows=8, stride=9),
    Scene(f"{_RESUMING}{OF_LANES}", "Lanes/1024", 6, flush_every=2, ring_rows=8, before=6, stride=4),
    Scene(f"{_REPAIRING}{OF_LANES}", "Lanes/1024", 0, flush_every=5, ring_rows=16, before=8, stride=4),
)
"""Vector environments whose lanes are out of step. A tick is a row of the ring: it has all lanes."""


def prepare(path: Path, scene: Scene) -> list[int]:
    """Make the recording that a scene appends to or repairs.

    Returns:
        Its steps, by life.
    """
    if not scene.before:
        return []
    task = replace(_record(path, scene), steps=scene.before, close=scene.closed)
    with Victim(task) as running:
        complaint = running.complaint()
        if running.counter.steps != scene.before:
            raise RuntimeError(f"the recorder failed: {complaint}")
    return [scene.before]


def task_of(path: Path, scene: Scene) -> Record | Repair:
    """The arguments of the traced victim."""
    if not scene.steps:
        return Repair(str(path), f"{path.parent}.counter", traced=True)
    life, mode = (1, "a") if scene.before else (0, "x")
    return replace(_record(path, scene), life=life, mode=mode, steps=scene.steps, traced=True)


def _record(path: Path, scene: Scene) -> Record:
    return Record(
        str(path),
        f"{path.parent}.counter",
        scene.env,
        writer="inline",
        flush_interval_s=1e6,  # only ``flush_every`` commits
        durability=scene.durability,
        flush_every=scene.flush_every,
        ring_rows=scene.ring_rows,
    )
