"""Check the attributes of ``/metadata`` and the frames per second: are they there, and can they be read?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gymnasium import Space

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.metadata import read_attribute
from gym_h5record.maintenance.validation.problems import Problem, make_problem, quote, reason
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.codecs import COMPRESSIONS

__all__ = ["metadata_problems"]

_COLUMNS = {"observation_space": fmt.OBSERVATIONS, "action_space": fmt.ACTIONS}
_CODES = {"observation_space": "space-unreadable", "action_space": "space-unreadable", "env_spec": "env-spec"}
_TOTALS = ("total_steps", "total_episodes")
_DISCARDED = ("discarded_episodes", "discarded_steps")
_NEEDED = (*_TOTALS, "compression")  # and the schema, which ``structure`` reads
_WANTED = (
    *("run_id", "agent_id", "user", "env_name", "env_class", "env_wrappers", "env_spec", "env_spec_problem"),
    *("observation_space", "action_space", "render_mode", "frames", "created_at", "versions", "platform", "journal_id"),
)


def metadata_problems(
    handle: Handle, totals: tuple[int, int] | None, spaces: dict[str, Space[Any]]
) -> Iterator[Problem]:
    """Find what is wrong with the metadata of an open recording.

    ``totals`` are the numbers of steps and episodes by ``/commit``, None if the file was not closed.
    ``spaces`` receives the spaces that can be read, by the columns of their values: ``observations``, ``actions``. The
    caller needs them too, and to read one may take a second.
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
        yield make_problem("metadata-incomplete", f"/{fmt.METADATA}", f"attributes are missing: {', '.join(missing)}")
    yield from _attribute_problems(attributes, spaces)
    try:
        fps = handle.attribute("fps")
        if not isinstance(fps, float):
            yield make_problem("metadata-unreadable", "/ fps", f"expected a float64, found {quote(fps)}")
    except CorruptRecordingError as error:
        yield make_problem("metadata-unreadable", "/ fps", reason(error, handle.path))
    if totals is not None:
        yield from _total_problems(attributes, totals)


def _attribute_problems(attributes: dict[str, Any], spaces: dict[str, Space[Any]]) -> Iterator[Problem]:
    for name, value in attributes.items():
        if name in _TOTALS or name == "schema":  # checked by ``_total_problems``, and by ``structure``
            continue
        place = f"/{fmt.METADATA} {name}"
        if name in _DISCARDED:
            if not isinstance(value, int) or value < 0:
                yield make_problem("metadata-unreadable", place, f"expected a number, found {quote(value)}")
            continue
        if not isinstance(value, str):
            yield make_problem("metadata-unreadable", place, f"expected text, found {quote(value)}")
            continue
        try:
            found = read_attribute(name, value)
            if name == "compression" and found[0] not in COMPRESSIONS:
                raise ValueError(f"expected one of {COMPRESSIONS}")
        except Exception as error:  # noqa: BLE001  # a hostile text can make a reader raise anything
            code = _CODES.get(name, "metadata-unreadable")
            yield make_problem(code, place, f"{quote(value)} cannot be read: {quote(str(error))}")
            continue
        if name in _COLUMNS:
            spaces[_COLUMNS[name]] = found


def _total_problems(attributes: dict[str, Any], totals: tuple[int, int]) -> Iterator[Problem]:
    for name, expected in zip(_TOTALS, totals, strict=True):
        if name in attributes and attributes[name] != expected:
            message = f"it is {quote(attributes[name])}, by /{fmt.COMMIT} it should be {expected}"
            yield make_problem("totals", f"/{fmt.METADATA} {name}", message)
