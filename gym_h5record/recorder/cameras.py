"""The user's own cameras: functions that take pictures of an environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gym_h5record.errors import OptionError

__all__ = ["Cameras"]


class Cameras(dict[str, Callable[[Any], Any]]):
    """Cameras by name: each is called with the environment, and returns a picture of it.

    A copy of the recorder's arguments holds these same cameras: a renderer behind them can rarely be copied.

    Raises:
        OptionError: If there is no camera, or a name or a camera is of the wrong type.
    """

    def __init__(self, cameras: Mapping[str, Callable[[Any], Any]]) -> None:
        super().__init__(cameras)
        if not self:
            raise OptionError("frames: the dict has no camera; frames=False stores no frames.")
        for name, camera in self.items():
            if type(name) is not str or not name:
                raise OptionError(f"frames: a camera is named {name!r:.80}; expected text that is not empty.")
            if not callable(camera):
                raise OptionError(
                    f"frames: the camera {name!r:.80} is {camera!r:.80}; expected a function that is called with the "
                    "environment and returns a picture."
                )

    def __deepcopy__(self, memo: dict[int, Any]) -> Cameras:
        return self

    def take(self, env: Any) -> dict[str, Any]:
        """A picture of each camera."""
        return {name: camera(env) for name, camera in self.items()}
