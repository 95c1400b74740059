"""The states of a snapshot as text in ``/episodes/json``: zlib from 1 KiB on, ASCII as it is, anything else base64."""

from __future__ import annotations

import base64
import zlib
from typing import cast

from gym_h5record import limits
from gym_h5record.errors import CorruptRecordingError

__all__ = ["packed_state", "unpacked_state", "unpacked_states"]

_MIN_COMPRESSED_BYTES = 1024


def packed_state(state: bytes) -> tuple[str, str]:
    """A state as a pair: the name of its form (``"text"``, ``"zlib"`` or ``"plain"``), and text."""
    if len(state) < _MIN_COMPRESSED_BYTES and state.isascii():  # base64 would hide what states have in common from gzip
        return "text", state.decode("ascii")
    form, data = ("zlib", zlib.compress(state)) if len(state) >= _MIN_COMPRESSED_BYTES else ("plain", state)
    return form, base64.b64encode(data).decode("ascii")


def unpacked_states(packed: object) -> dict[str, bytes]:
    """The states of a snapshot by provider, from the pairs of ``packed_state``; together at most 96 MiB."""
    if not isinstance(packed, dict):
        raise CorruptRecordingError(f"a snapshot: expected an object, found {type(packed).__name__}")
    left_bytes, states = limits.MAX_ITEM_BYTES, {}
    for name, each in packed.items():
        if not isinstance(name, str) or "\0" in name:
            raise CorruptRecordingError(f"a snapshot has a provider named {name!r:.80}")
        states[name] = unpacked_state(each, left_bytes)
        left_bytes -= len(states[name])
    return states


def unpacked_state(packed: object, max_bytes: int = limits.MAX_ITEM_BYTES) -> bytes:
    """A state from the pair of ``packed_state``. Anything else, or a larger state, raises ``CorruptRecordingError``."""
    try:
        form, text = cast("tuple[str, str]", packed)  # anything else raises below
        is_whole = True
        if form == "text":
            state = text.encode("ascii")
        elif form == "plain":
            state = base64.b64decode(text, validate=True)
        elif form == "zlib":
            inflate = zlib.decompressobj()
            state = inflate.decompress(base64.b64decode(text, validate=True), max(1, max_bytes))
            is_whole = inflate.eof
        else:
            raise ValueError(f"unknown form {form!r:.80}")
    except (AttributeError, TypeError, ValueError, zlib.error) as error:
        raise CorruptRecordingError(f"a snapshot cannot be unpacked: {error}") from error
    if not is_whole or len(state) > max_bytes:
        raise CorruptRecordingError(f"a snapshot is cut off, or has more than {max_bytes} bytes")
    return state
