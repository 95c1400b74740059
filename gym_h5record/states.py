"""The text form of a snapshot's states in the index of episodes: compressed, in base64."""

from __future__ import annotations

import base64
import binascii
import zlib

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.limits import MAX_ITEM_BYTES

__all__ = ["packed_state", "unpacked_state"]


def packed_state(state: bytes) -> str:
    """A state as text."""
    return base64.b64encode(zlib.compress(state)).decode("ascii")


def unpacked_state(text: object) -> bytes:
    """A state from its text.

    Raises:
        CorruptRecordingError: If it is none, or larger than anything is allowed to be.
    """
    if not isinstance(text, str):
        raise CorruptRecordingError(f"a snapshot is text, not {type(text).__name__}")
    inflate = zlib.decompressobj()
    try:
        state = inflate.decompress(base64.b64decode(text, validate=True), MAX_ITEM_BYTES)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise CorruptRecordingError(f"a snapshot cannot be unpacked: {error}") from error
    if not inflate.eof:
        raise CorruptRecordingError(f"a snapshot is cut short, or has more than {MAX_ITEM_BYTES} bytes")
    return state
