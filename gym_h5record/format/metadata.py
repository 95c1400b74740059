"""The attributes of ``/metadata``: the type of each, and the reader of each that holds structured text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.masks import read_mask_names
from gym_h5record.limits import MAX_DEPTH
from gym_h5record.values.space_json import space_from_json
from gym_h5record.values.spec_json import spec_from_json
from gym_h5record.values.tagged_json import loads, parse_json

__all__ = ["metadata_values", "read_attribute", "readable_attributes"]

_TOTALS = ("total_steps", "total_episodes", "discarded_episodes", "discarded_steps")
_SPACES = ("observation_space", "action_space")
_FRAMES = ("render", "cameras", "observation", "none")
_TEXTS = ("frames", "created_at")
"""``metadata_values`` gives the text of these."""
_SHOWN_AS_JSON = (*_SPACES, "env_spec", "schema", "compression", fmt.MASK_NAMES)
"""``metadata_values`` gives the JSON of these, or their text if it is none: it does not hide the other attributes."""


def metadata_values(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Join the user's own metadata with that of the recorder. An attribute that cannot be read is an error.

    JSON texts are parsed. Spaces and the spec are the JSON that describes them, the time is text in ISO 8601.
    """
    found = {name: _shown(name, value) for name, value in attributes.items()}
    user = found.get("user", {})
    own = {key: value for key, value in user.items() if key not in fmt.METADATA_ATTRIBUTES}
    return {**own, **found, "user": user}


def readable_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the attributes that ``metadata_values`` accepts, and of the spaces those that can be read."""
    readable = {}
    for name, value in attributes.items():
        try:
            _shown(name, value)
            if name in _SPACES:
                read_attribute(name, value)
        except ValueError:
            continue
        readable[name] = value
    return readable


def read_attribute(name: str, value: Any) -> Any:
    """Read one attribute: the dict, list, space, spec ... that its text stands for, else the text or number itself.

    Raises:
        ValueError: If the text cannot be read.
        TypeError: If the value, or the content of its text, has another type than the format says.
    """
    _expect(int if name in _TOTALS else str, value)
    return _READERS[name](value) if name in _READERS else value


def _shown(name: str, value: Any) -> Any:
    try:
        if name in _SHOWN_AS_JSON:
            return _json_or_text(_expect(str, value))
        return _expect(str, value) if name in _TEXTS else read_attribute(name, value)
    except (ValueError, TypeError) as error:
        raise CorruptRecordingError(f"/{fmt.METADATA} {name} cannot be read: {error}") from error


def _json_or_text(text: str) -> Any:
    try:
        return parse_json(text) if text else None
    except ValueError:
        return text


def _expect(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, found {value!r:.80}")
    return value


def _object(text: str) -> Any:
    return _expect(dict, parse_json(text, MAX_DEPTH))


def _space(text: str) -> Any:
    return space_from_json(parse_json(text))


def _compression(text: str) -> tuple[Any, Any]:
    name, options = _expect(list, parse_json(text))
    return name, options


def _frames(text: str) -> str:
    if text not in _FRAMES:
        raise ValueError(f"expected one of {', '.join(_FRAMES)}")
    return text


_READERS: dict[str, Callable[[str], Any]] = {
    "user": lambda text: _expect(dict, loads(text or "{}")),
    "versions": _object,
    "platform": _object,
    "recording_parent": _object,
    "vector": _object,
    "env_wrappers": lambda text: [_expect(str, each) for each in _expect(list, parse_json(text, MAX_DEPTH))],
    "observation_space": _space,
    "action_space": _space,
    "env_spec": lambda text: spec_from_json(text) if text else None,
    "compression": _compression,
    "frames": _frames,
    "created_at": datetime.fromisoformat,
    fmt.MASK_NAMES: read_mask_names,
}
