"""Tells Gymnasium of ``gym_h5record/Replay-v0``, without importing Gymnasium.

Importing Gymnasium takes 0.09 s beyond NumPy (``python -X importtime``). The
command line's help and the writer process need none of it, and a program may
import Gymnasium after this package. Gymnasium has had no entry points for
packages of environments since 1.0. So the environment is registered at once if
Gymnasium is loaded, and otherwise while Gymnasium is loading.
"""

from __future__ import annotations

import sys
from importlib import import_module

__all__ = ["REPLAY_ID", "register_with_gymnasium"]

REPLAY_ID = "gym_h5record/Replay-v0"
_ENTRY_POINT = "gym_h5record.replay:ReplayFromHDF5"
_REGISTRATION = "gymnasium.envs.registration"


def register_with_gymnasium() -> None:
    """Make ``gym.make("gym_h5record/Replay-v0", path=...)`` work, now or once Gymnasium is loaded."""
    watcher = _ImportWatcher()
    sys.meta_path.insert(0, watcher)  # before the look at sys.modules: another thread may be about to load Gymnasium
    if _REGISTRATION in sys.modules:
        import_module(_REGISTRATION)  # if another thread is loading it, this waits for the end
        watcher.find_spec()


class _ImportWatcher:
    """Registers the environment at the first import after ``gymnasium.envs.registration``; finds no module itself.

    ``gymnasium/__init__.py`` loads that module, then others. Python asks every finder about each of them.
    """

    def find_spec(self, *_: object) -> None:
        registration = sys.modules.get(_REGISTRATION)
        if registration is None or not hasattr(registration, "register"):  # not loaded, or half loaded
            return
        # A new list: Python may be going through the old one, and would skip the finder behind a removed one.
        sys.meta_path = [each for each in sys.meta_path if each is not self]
        spec = registration.EnvSpec(REPLAY_ID, entry_point=_ENTRY_POINT)
        registration.registry.setdefault(REPLAY_ID, spec)  # ``register`` would warn if it is there
