"""What has no slot in the ring: ragged items, values that do not fit their column, keys without a column.

All of it becomes segments in the blob of the journal. The user is warned once of every kind of value that is recorded
as something else.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from gym_h5record.display import short_repr
from gym_h5record.format import names as fmt
from gym_h5record.format.names import TypeCode
from gym_h5record.notices import warn
from gym_h5record.values.exact import foreign_array
from gym_h5record.values.tagged_json import IN_ITS_PLACE, tag_anything
from gym_h5record.writing.encoders import Segments
from gym_h5record.writing.segments import Segment, pack_segment

__all__ = ["Unslotted", "UnslottedRow"]


class Unslotted:
    """The segments and exceptions of a row, or of the step that leads to it."""

    def __init__(self, exceptions_number: int) -> None:
        self.segments: Segments = []
        self.exceptions: dict[str, Any] = {}
        self._exceptions_number = exceptions_number

    def clear(self) -> None:
        """Forget all of it."""
        self.segments.clear()
        self.exceptions.clear()

    def pack(self, numbers: dict[str, int], lane: int = 0) -> bytes:
        """All of it as segments."""
        packed = [pack_segment(numbers[name], data, lane) for name, data in self.segments]
        if self.exceptions:
            text = json.dumps(self.exceptions, separators=(",", ":")).encode()
            packed.append(pack_segment(self._exceptions_number, text, lane))
        return b"".join(packed)


class UnslottedRow:
    """What has no slot of the newest row and of the step that leads to it.

    Args:
        warned: What the user has been warned of; shared by the lanes of a recording.

    Attributes:
        step: Of the step.
        row: Of the row.
    """

    def __init__(self, warned: set[str] | None = None) -> None:
        self.step = Unslotted(Segment.STEP_EXCEPTIONS)
        self.row = Unslotted(Segment.ROW_EXCEPTIONS)
        self._warned: set[str] = set() if warned is None else warned

    def keep_step_value(self, name: str, value: Any) -> int:
        """Keep a value of the step that its column cannot hold; returns its type code."""
        self.step.exceptions[name] = self._tag(name, value)
        return TypeCode.EXCEPTION

    def keep_row_value(self, name: str, value: Any) -> int:
        """Keep a value of the row that its column cannot hold; returns its type code."""
        self.row.exceptions[name] = self._tag(name, value)
        return TypeCode.EXCEPTION

    def _tag(self, name: str, value: Any) -> Any:
        self._warn_once(
            name,
            f"/{name}: got {_describe(value)}, {_misfit(name, value)}. "
            "It is kept as text, which is slow. Later ones are kept in the same way, without a warning.",
        )
        return self._tag_anything(name, value)

    def _tag_anything(self, name: str, value: Any) -> Any:
        return tag_anything(value, on_repr=lambda part: self.note_inexact(name, part))

    def note_inexact(self, name: str, part: object) -> None:
        """Tell the user of an object that has no exact form."""
        self._warn_once(
            f"{name} {type(part).__qualname__}",
            f"/{name}: an object of type {type(part).__module__}.{type(part).__qualname__} has no exact form in "
            f"the file; {IN_ITS_PLACE}.",
        )

    def note_foreign(self, name: str, value: Any, stored: Any) -> None:
        """Tell the user that another value is recorded for this one."""
        what = "NumPy arrays" if isinstance(stored, np.ndarray) else type(stored).__qualname__
        self._warn_once(
            f"{name} {type(value).__qualname__}",
            f"/{name}: values of type {type(value).__qualname__} are recorded as {what}.",
        )

    def keep_other_infos(self, rest: Any) -> None:
        """Keep the keys of an info that have no column."""
        self.row.segments += self._json_segments(fmt.INFOS, fmt.INFOS_JSON, rest)

    def keep_other_extras(self, rest: Any) -> None:
        """Keep the keys of extras that have no column."""
        self.step.segments += self._json_segments(fmt.EXTRAS, fmt.EXTRAS_JSON, rest)

    def _json_segments(self, group: str, name: str, rest: Any) -> Segments:
        text = json.dumps(self._tag_anything(group, rest), separators=(",", ":")).encode()
        return [(f"{name}/{fmt.ENDS}", np.int64(len(text)).tobytes()), (f"{name}/{fmt.VALUES}", text)]

    def _warn_once(self, key: str, message: str) -> None:
        if key not in self._warned:
            self._warned.add(key)
            warn(message)


def _misfit(name: str, value: Any) -> str:
    """Why a value is in no column, as a part of a sentence."""
    is_frame = name.partition("/")[0] == fmt.FRAMES
    if is_frame and not isinstance(value, (np.ndarray, str, tuple, dict)) and foreign_array(value) is None:
        return "which is no picture"
    return "which its column cannot hold"


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}"
    return f"{short_repr(value)} of type {type(value).__qualname__}"
