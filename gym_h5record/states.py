"""The text form of a snapshot's states in the index of episodes: compressed, in base64."""

from __future__ import annotations

import base64
import binascii
import zlib

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.limits import MAX_ITEM_BYTES

__all__ = ["packed_state", "unpacked_state", "unpacked_states"]


def packed_state(state: bytes) -> str:
    """A state as text."""
    return base64.b64encode(zlib.compress(state)).decode("ascii")


def unpacked_states(texts: object) -> dict[str, bytes]:
    """The states of a snapshot from their texts, by provider.

    Raises:
        CorruptRecordingError: If they are none, or together larger than anything is allowed to be.
    """
    if not isinstance(texts, dict):
        raise CorruptRecordingError(f"a snapshot is an object, not {type(texts).__name__}")
    left_bytes, states = MAX_ITEM_BYTES, {}
    for name, text in texts.items():
        if not isinstance(name, str) or "\0" in name:
            raise CorruptRecordingError(f"a snapshot is of a provider with the name {name!r:.80}")
        states[name] = unpacked_state(text, left_bytes)
        left_bytes -= len(states[name])
    return states


def unpacked_state(text: object, max_bytes: int = MAX_ITEM_BYTES) -> bytes:
    """A state from its text.

    Raises:
        CorruptRecordingError: If it is none, or has more than ``max_bytes``.
    """
    if not isinstance(text, str):
        raise CorruptRecordingError(f"a snapshot is text, not {type(text).__name__}")
    inflate = zlib.decompressobj()
    try:
        state = inflate.decompress(base64.b64decode(text, validate=True), max(1, max_bytes))
    except (binascii.Error, ValueError, zlib.error) as error:
        raise CorruptRecordingError(f"a snapshot cannot be unpacked: {error}") from error
    if not inflate.eof or len(state) > max_bytes:
        raise CorruptRecordingError(f"a snapshot is cut short, or has more than {max_bytes} bytes")
    return state
