"""Which metadata of two recordings differ, in sentences.

They tell why two recordings may differ: another version of a library, another
environment. They say nothing of the episodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gym_h5record.display import printable, short_repr
from gym_h5record.format.names import METADATA_ATTRIBUTES
from gym_h5record.reading.recording import Recording
from gym_h5record.values.differences import ABSENT, first_difference
from gym_h5record.values.tagged_json import parse_json

__all__ = ["metadata_differences"]


_SPACES = ("observation_space", "action_space")
_NO_FACTS = frozenset(
    {"created_at", "run_id", "journal_id", "compression", "total_steps", "total_episodes", "schema", "user", *_SPACES}
)
"""Metadata that differs between any two recordings, or follows from their content, or has a sentence of its own."""


def metadata_differences(first: Recording, second: Recording, where: tuple[str, str]) -> Iterator[str]:
    """A sentence for each piece of metadata that differs.

    Args:
        first: One recording.
        second: The other.
        where: What to say behind the value of each.
    """
    for name in _SPACES:
        spaces = getattr(first, name), getattr(second, name)
        if spaces[0] != spaces[1]:
            texts = [short_repr(each) for each in spaces]
            same = " (which does not show all of it)" if texts[0] == texts[1] else ""
            yield f"{name}: {texts[0]} {where[0]}, {texts[1]} {where[1]}{same}"
    facts = [_facts(each) for each in (first, second)]
    for name in sorted(facts[0].keys() | facts[1].keys()):
        one, other = (each.get(name, ABSENT) for each in facts)
        difference = first_difference(printable(name), one, other, where=where)
        if difference is not None:
            yield difference.message


def _facts(recording: Recording) -> dict[str, Any]:
    """What is worth a sentence if it differs, by name; of objects each entry has one of its own."""
    metadata = recording.metadata
    found: dict[str, Any] = {
        name: metadata[name] for name in METADATA_ATTRIBUTES if name in metadata and name not in _NO_FACTS
    }
    if found.get("env_spec"):
        found["env_spec"] = parse_json(found["env_spec"])
    found |= {"metadata": metadata["user"], "fps": recording.fps}
    facts: dict[str, Any] = {}
    for name, value in found.items():
        entries = value.items() if type(value) is dict else ()
        facts |= {f"{name}/{key}": each for key, each in entries} if entries else {name: value}
    return facts
