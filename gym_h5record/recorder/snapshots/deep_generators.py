"""``DeepGenerators``: remembers where generators are inside the objects of an environment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from gym_h5record.notices import warn
from gym_h5record.recorder.snapshots.generator_kinds import kind_of
from gym_h5record.recorder.snapshots.generator_search import MAX_PLACES, find_places
from gym_h5record.recorder.snapshots.object_paths import follow

__all__ = ["DeepGenerator", "DeepGenerators"]

_MAX_INTERVAL = 128  # resets


class DeepGenerator(NamedTuple):
    """A generator, the number of its layer, its path as JSON, and its kind."""

    layer: int
    path: str
    generator: Any
    kind: str


class DeepGenerators:
    """Reads the remembered places before every reset, and searches for new places before some resets.

    A search takes 50 microseconds in a small environment and milliseconds in a large one. So it is done before the
    resets 0, 1, 2, 4, 8, ..., 128, 256, 384, ..., and whenever a remembered place has no generator any more.
    """

    def __init__(self) -> None:
        self._layers: Sequence[Any] = ()
        self._places: list[_Place] = []
        self._taken: list[DeepGenerator] = []
        self._resets = self._next_search = 0
        self._has_warned = False

    @property
    def is_after_first_reset(self) -> bool:
        """Whether ``take`` has been called once for this environment."""
        return self._resets == 1

    def take(self, layers: Sequence[Any], known: Sequence[Any]) -> list[DeepGenerator]:
        """The generators before a reset of an environment.

        Args:
            layers: The environment and its wrappers.
            known: Objects that a search does not look into.
        """
        if len(layers) != len(self._layers) or any(map(_is_other, layers, self._layers)):
            self._layers, self._resets, self._next_search = layers, 0, 0
        found = self._read() if self._resets < self._next_search else None
        if found is None:
            self._search(known)
            self._next_search = self._resets + min(max(self._resets, 1), _MAX_INTERVAL)
            found = self._read() or []
        self._taken = found
        self._resets += 1
        return found

    def created(self, known: Sequence[Any], others: Sequence[Any]) -> list[DeepGenerator]:
        """NumPy's generators that ``take`` did not find, because the reset after it has created them.

        Args:
            known: Objects that the search does not look into.
            others: Generators to leave out.
        """
        before = {(each.layer, each.path) for each in self._taken}
        ids = {id(each) for each in (*others, *(each.generator for each in self._taken))}
        self._search(known)
        return [
            each
            for each in self._read() or []
            if each.kind == "numpy" and id(each.generator) not in ids and (each.layer, each.path) not in before
        ]

    def _search(self, known: Sequence[Any]) -> None:
        found = find_places(self._layers, known)
        if len(found) > MAX_PLACES and not self._has_warned:
            self._has_warned = True
            warn(
                f"the environment has more than {MAX_PLACES} random generators inside its objects: snapshots keep "
                f"{MAX_PLACES} of them, so an episode may be another one when it is run again. A SnapshotProvider can "
                "keep more."
            )
        self._places = [_Place(layer, path, json.dumps(path)) for layer, path in found[:MAX_PLACES]]

    def _read(self) -> list[DeepGenerator] | None:
        """What is at the remembered places; None if one of them has no generator any more."""
        found = []
        for layer, path, text in self._places:
            generator = follow(self._layers[layer], path)
            kind = kind_of(generator)
            if kind is None:
                return None
            found.append(DeepGenerator(layer, text, generator, kind))
        return found


class _Place(NamedTuple):
    layer: int
    path: list[Any]
    text: str


def _is_other(one: Any, other: Any) -> bool:
    return one is not other
