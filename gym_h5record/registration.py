"""Tells Gymnasium of ``gym_h5record/Replay-v0`` without importing Gymnasium.

``import gymnasium`` takes 0.2 s (``python -X importtime``); the command line's help and the writer process need none
of it. So ``gym_h5record`` registers the environment at once if Gymnasium is loaded, and otherwise right after some
other module has imported Gymnasium.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

__all__ = ["REPLAY_ID", "register_with_gymnasium"]


REPLAY_ID = "gym_h5record/Replay-v0"
_ENTRY_POINT = "gym_h5record.replay:ReplayFromHDF5"


def register_with_gymnasium() -> None:
    """Make ``gym.make("gym_h5record/Replay-v0", path=...)`` work, now or once Gymnasium is imported."""
    gymnasium = sys.modules.get("gymnasium")
    if hasattr(gymnasium, "register"):
        _register(gymnasium)
    else:
        sys.meta_path.insert(0, _GymnasiumFinder())


def _register(gymnasium: ModuleType | None) -> None:
    if gymnasium is not None:
        gymnasium.register(REPLAY_ID, entry_point=_ENTRY_POINT, order_enforce=True)


class _GymnasiumFinder(MetaPathFinder):
    """Finds nothing but ``gymnasium``, as the other finders do, and adds a step to its loading."""

    def __init__(self) -> None:
        self._is_asking = False  # ``find_spec`` asks all finders, this one too

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "gymnasium" or self._is_asking:
            return None
        self._is_asking = True
        try:
            spec = find_spec(name)
        finally:
            self._is_asking = False
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisteringLoader(spec.loader, self)
        return spec


class _RegisteringLoader(Loader):
    """Loads Gymnasium, then registers the environment."""

    def __init__(self, loader: Loader, finder: MetaPathFinder) -> None:
        self._loader = loader
        self._finder = finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader  # resources are read through it
        self._loader.exec_module(module)
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        _register(module)
