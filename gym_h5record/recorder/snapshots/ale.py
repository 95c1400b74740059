"""Snapshots of the Arcade Learning Environment: its state with both generators.

A reset of an Atari game depends on two Mersenne twisters inside ALE. That of the console fills the memory at power-on;
that of the environment decides when an action sticks. Only a state cloned with ``include_rng=True`` has both.
"""

from __future__ import annotations

import re
import struct
import sys
from typing import Any

import gymnasium as gym

from gym_h5record.errors import SnapshotError

__all__ = ["AleProvider", "is_ale", "splice", "twisters"]

_HEADER = struct.Struct("<6i")  # paddles, frame, frame of the episode, mode, difficulty
_FRAME_WORDS = slice(2, 4)
_TWISTER = re.compile(rb"(?:\d{1,10} ){624}\d{1,3}")  # the format of libstdc++
_LENGTH = struct.Struct("<i")


class AleProvider:
    """The version of ALE, a NUL, and the serialized state."""

    name = "ale"

    def take(self, env: gym.Env[Any, Any]) -> bytes | None:
        """See ``SnapshotProvider``. Takes about 40 microseconds."""
        inner = env.unwrapped
        if not is_ale(inner):
            return None
        state: bytes = inner.clone_state(include_rng=True).serialize()  # type: ignore[attr-defined]
        return f"{sys.modules['ale_py'].__version__}\0".encode() + state

    def restore(self, env: gym.Env[Any, Any], state: bytes) -> None:
        """See ``SnapshotProvider``. The generators of a state of another version are put into one of this version."""
        inner = env.unwrapped
        if not is_ale(inner):
            raise SnapshotError(f"a state of ALE cannot be restored into a {type(inner).__qualname__}")
        ale_py = sys.modules["ale_py"]
        version, _, content = state.partition(b"\0")
        if version.decode("ascii", "replace") != ale_py.__version__:
            content = splice(content, inner.clone_state(include_rng=True).serialize())  # type: ignore[attr-defined]
        try:
            inner.restore_state(ale_py.ALEState(content))  # type: ignore[attr-defined]
        except (RuntimeError, ValueError) as error:
            raise SnapshotError(f"ALE refuses the recorded state: {error}") from error


def is_ale(env: gym.Env[Any, Any]) -> bool:
    """Whether an environment without wrappers is ``ale_py.AtariEnv`` or of a derived class."""
    module = sys.modules.get("ale_py.env")
    return module is not None and isinstance(env, module.AtariEnv)


def twisters(state: bytes) -> list[list[int]]:
    """The twisters of a serialized state, that of the console first: of each, its 624 words and its position."""
    return [[int(word) for word in found[0].split()] for found in _TWISTER.finditer(state)]


def splice(recorded: bytes, present: bytes) -> bytes:
    """Copy the generators and frame counters of a recorded state into a state of the installed ALE.

    The format of a state changes with the version of ALE, but every version writes a twister as its length and then
    decimal numbers.
    """
    old, new = (list(_TWISTER.finditer(each)) for each in (recorded, present))
    if not old or len(old) != len(new):
        raise SnapshotError(f"the recorded state of ALE has {len(old)} generators, this version's has {len(new)}")
    parts, at = [], 0
    for theirs, ours in zip(old, new, strict=True):
        parts += [present[at : ours.start() - _LENGTH.size], _LENGTH.pack(len(theirs[0])), theirs[0]]
        at = ours.end()
    spliced = b"".join([*parts, present[at:]])
    words = list(_HEADER.unpack_from(spliced))
    words[_FRAME_WORDS] = _HEADER.unpack_from(recorded)[_FRAME_WORDS]
    inner_bytes = _LENGTH.unpack_from(present, _HEADER.size)[0] + len(spliced) - len(present)
    return _HEADER.pack(*words) + _LENGTH.pack(inner_bytes) + spliced[_HEADER.size + _LENGTH.size :]
