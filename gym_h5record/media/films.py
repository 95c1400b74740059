"""What writes the frames of a video, whatever its format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

import numpy as np

__all__ = ["Film"]

_Film = TypeVar("_Film", bound="Film")


class Film(ABC):
    """Takes the frames of a video one after the other. Leaving the ``with`` block completes the file."""

    @abstractmethod
    def add(self, picture: np.ndarray, caption: np.ndarray | None, duration_ms: int) -> None:
        """Add a frame.

        Args:
            picture: ``(height, width, 3)`` uint8 in RGB, not scaled yet. It may change afterwards.
            caption: The lines below it, ``(height, width)`` uint8 in the width of the scaled picture; or None.
            duration_ms: How long it is shown, where the format says that for every frame.
        """

    @abstractmethod
    def close(self) -> None:
        """Write what is left."""

    @abstractmethod
    def abandon(self) -> None:
        """Close the file after an error, as it is."""

    def __enter__(self: _Film) -> _Film:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()
