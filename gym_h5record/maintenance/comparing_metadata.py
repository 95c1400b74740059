"""Say which metadata of two recordings differs.

Such differences explain why two recordings differ: another environment, another version of a library. They are no
differences of the episodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gym_h5record.display import printable, short_repr
from gym_h5record.format.names import MASK_NAMES, METADATA_ATTRIBUTES
from gym_h5record.reading.recording import Recording
from gym_h5record.values.differences import ABSENT, first_difference
from gym_h5record.values.space_json import same_space

__all__ = ["metadata_differences"]

_SPACES = ("observation_space", "action_space")
_NOT_COMPARED = frozenset(
    {
        "created_at",
        "run_id",
        "journal_id",
        "compression",
        "total_steps",
        "total_episodes",
        "discarded_episodes",
        "discarded_steps",
        "schema",
        MASK_NAMES,
        "user",
        *_SPACES,
    }
)
"""Attributes that differ between any two recordings, that follow from the content, that were added later, or that are
compared as objects."""


def metadata_differences(first: Recording, second: Recording, where: tuple[str, str]) -> Iterator[str]:
    """Yield one sentence for each difference; ``where`` names the two recordings, such as ``"in a.h5"``."""
    for name in _SPACES:
        spaces = getattr(first, name), getattr(second, name)
        if not same_space(*spaces):
            texts = [short_repr(each) for each in spaces]
            same = " (the difference is in a part that is not shown)" if texts[0] == texts[1] else ""
            yield f"{name}: {texts[0]} {where[0]}, {texts[1]} {where[1]}{same}"
    facts = [_facts(each) for each in (first, second)]
    for name in sorted(facts[0].keys() | facts[1].keys()):
        one, other = (each.get(name, ABSENT) for each in facts)
        difference = first_difference(printable(name), one, other, where=where)
        if difference is not None:
            yield difference.message


def _facts(recording: Recording) -> dict[str, Any]:
    """The metadata to compare, by name. An entry of a dict is a fact of its own."""
    metadata = recording.metadata
    found: dict[str, Any] = {
        name: metadata[name] for name in METADATA_ATTRIBUTES if name in metadata and name not in _NOT_COMPARED
    }
    found |= {"metadata": metadata["user"], "fps": recording.fps}
    facts: dict[str, Any] = {}
    for name, value in found.items():
        entries = value.items() if type(value) is dict else ()
        facts |= {f"{name}/{key}": each for key, each in entries} if entries else {name: value}
    return facts
