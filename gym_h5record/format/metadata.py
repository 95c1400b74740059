"""The attributes of ``/metadata`` as the values that a user sees, each of the kind that the format says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.names import METADATA_ATTRIBUTES
from gym_h5record.limits import MAX_DEPTH
from gym_h5record.values.space_json import space_from_json
from gym_h5record.values.tagged_json import loads, parse_json

__all__ = ["metadata_values", "readable_attributes"]


_SPACES = ("observation_space", "action_space")
_TOTALS = ("total_steps", "total_episodes")


def metadata_values(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The user's own metadata and that of the recorder.

    Args:
        attributes: From ``gym_h5record.storage.format_checks.open_metadata``.

    Raises:
        CorruptRecordingError: If one of them is not what it should be.
    """
    found = {name: _value(name, attributes[name]) for name in attributes}
    user = found.get("user", {})
    own = {key: value for key, value in user.items() if key not in METADATA_ATTRIBUTES}
    return {**own, **found, "user": user}


def readable_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Those attributes that ``metadata_values`` can read, and spaces that can be."""
    readable = {}
    for name, value in attributes.items():
        try:
            _value(name, value)
            if name in _SPACES:
                space_from_json(parse_json(value))
        except (CorruptRecordingError, ValueError):
            continue
        readable[name] = value
    return readable


def _value(name: str, value: Any) -> Any:
    kind = int if name in _TOTALS else str
    if type(value) is not kind:
        raise CorruptRecordingError(f"/{fmt.METADATA} {name} is {value!r:.80}, expected {kind.__name__}")
    try:
        return _READERS[name](value) if name in _READERS else value
    except (ValueError, TypeError) as error:
        raise CorruptRecordingError(f"/{fmt.METADATA} {name} cannot be read: {error}") from error


def _user(text: str) -> Any:
    return _expect(dict, loads(text or "{}"))


def _object(text: str) -> Any:
    return _expect(dict, parse_json(text, MAX_DEPTH))


def _names(text: str) -> Any:
    return [_expect(str, each) for each in _expect(list, parse_json(text, MAX_DEPTH))]


def _expect(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"expected a {kind.__name__}, found {value!r:.80}")
    return value


_READERS: dict[str, Callable[[Any], Any]] = {
    "user": _user,
    "versions": _object,
    "platform": _object,
    "env_wrappers": _names,
    "recording_parent": _object,
}
