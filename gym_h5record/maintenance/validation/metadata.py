"""Whether the metadata of a recording is there and can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from gymnasium import Space

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.limits import MAX_DEPTH
from gym_h5record.maintenance.validation.problems import Problem, make_problem, quote, reason
from gym_h5record.maintenance.validation.target import Target
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.codecs import COMPRESSIONS
from gym_h5record.values.space_json import space_from_json
from gym_h5record.values.spec_json import spec_from_json
from gym_h5record.values.tagged_json import loads, parse_json

__all__ = ["metadata_problems"]


_COLUMNS = {"observation_space": fmt.OBSERVATIONS, "action_space": fmt.ACTIONS}
_TOTALS = ("total_steps", "total_episodes")
_NEEDED = (*_TOTALS, "compression")  # and the schema, without which there is nothing to look at
_WANTED = (
    *("run_id", "agent_id", "user", "env_name", "env_class", "env_wrappers", "env_spec", "env_spec_problem"),
    *("observation_space", "action_space", "render_mode", "frames", "created_at", "versions", "platform", "journal_id"),
)
_FRAMES = ("render", "observation", "none")


def metadata_problems(
    handle: Handle, subject: Target | None, spaces: dict[str, Space[Any]] | None = None
) -> Iterator[Problem]:
    """What is wrong with the metadata of an open recording.

    Args:
        handle: The recording.
        subject: What it has, None if that cannot be told.
        spaces: Gets the spaces that can be read, by the columns that hold their values: ``observations``,
            ``actions``. It may take a second to read one, which is to be done once.

    Yields:
        The problems, as they are found.
    """
    try:
        attributes = handle.metadata()
    except CorruptRecordingError as error:
        yield make_problem("metadata-unreadable", f"/{fmt.METADATA}", reason(error, handle.path))
        return
    for name in _NEEDED:
        if name not in attributes:
            yield make_problem("metadata-missing", f"/{fmt.METADATA} {name}", "there is no such attribute")
    missing = [name for name in _WANTED if name not in attributes]
    if missing:
        message = f"these attributes should be there, but are not: {', '.join(missing)}"
        yield make_problem("metadata-incomplete", f"/{fmt.METADATA}", message)
    yield from _attribute_problems(attributes, {} if spaces is None else spaces)
    try:
        fps = handle.attribute("fps")
        if not isinstance(fps, float):
            yield make_problem("metadata-unreadable", "/ fps", f"expected a float64, found {quote(fps)}")
    except CorruptRecordingError as error:
        yield make_problem("metadata-unreadable", "/ fps", reason(error, handle.path))
    if subject is not None and subject.is_settled:
        yield from _total_problems(attributes, subject)


def _attribute_problems(attributes: dict[str, Any], spaces: dict[str, Space[Any]]) -> Iterator[Problem]:
    for name, value in attributes.items():
        if name in _TOTALS or name == "schema":
            continue
        place = f"/{fmt.METADATA} {name}"
        if not isinstance(value, str):
            yield make_problem("metadata-unreadable", place, f"expected text, found {quote(value)}")
            continue
        code, read = _READERS.get(name, ("", None))
        if read is None:
            continue
        try:
            found = read(value)
            if name in _COLUMNS:
                spaces[_COLUMNS[name]] = found
        except Exception as error:  # noqa: BLE001  # whatever a reader makes of a text that is something else
            yield make_problem(code, place, f"{quote(value)} cannot be read: {quote(str(error))}")


def _total_problems(attributes: dict[str, Any], subject: Target) -> Iterator[Problem]:
    steps = subject.num_rows - subject.num_episodes - subject.is_open
    for name, expected in zip(_TOTALS, (steps, subject.num_episodes), strict=True):
        if name in attributes and attributes[name] != expected:
            message = f"it is {quote(attributes[name])}, by /{fmt.COMMIT} it should be {expected}"
            yield make_problem("totals", f"/{fmt.METADATA} {name}", message)


# Readers: each raises what it likes if a text is not what the attribute should be -----------------------


def _read_json(*kinds: type) -> Callable[[str], None]:
    def read(text: str) -> None:
        content = parse_json(text, MAX_DEPTH)
        if not isinstance(content, kinds):
            raise TypeError(f"it is JSON, but no {kinds[0].__name__}")

    return read


def _read_user(text: str) -> None:
    if type(loads(text)) is not dict:
        raise TypeError("it is tagged JSON, but no dict")


def _read_space(text: str) -> Space[Any]:
    return space_from_json(parse_json(text))


def _read_spec(text: str) -> None:
    if text:
        spec_from_json(text)


def _read_compression(text: str) -> None:
    name, _ = parse_json(text)
    if name not in COMPRESSIONS:
        raise ValueError(f"expected [name, options] with one of the names {COMPRESSIONS}")


def _read_frames(text: str) -> None:
    if text not in _FRAMES:
        raise ValueError(f"expected one of {_FRAMES}")


_READERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "user": ("metadata-unreadable", _read_user),
    "versions": ("metadata-unreadable", _read_json(dict)),
    "platform": ("metadata-unreadable", _read_json(dict)),
    "env_wrappers": ("metadata-unreadable", _read_json(list)),
    "compression": ("metadata-unreadable", _read_compression),
    "frames": ("metadata-unreadable", _read_frames),
    "created_at": ("metadata-unreadable", datetime.fromisoformat),
    "observation_space": ("space-unreadable", _read_space),
    "action_space": ("space-unreadable", _read_space),
    "env_spec": ("env-spec", _read_spec),
}
