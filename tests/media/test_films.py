"""A film is completed at the end, and abandoned after an error."""

from __future__ import annotations

import numpy as np
import pytest

from gym_h5record.media.films import Film


class Noting(Film):
    """Notes its end."""

    def __init__(self) -> None:
        self.ends: list[str] = []

    def add(self, picture: np.ndarray, caption: np.ndarray | None, duration_ms: int) -> None:
        self.ends.append("added")

    def close(self) -> None:
        self.ends.append("closed")

    def abandon(self) -> None:
        self.ends.append("abandoned")


def test_a_film_is_closed_at_the_end() -> None:
    with Noting() as film:
        film.add(np.zeros((1, 1, 3), np.uint8), None, 40)
    assert film.ends == ["added", "closed"]


def test_a_film_is_abandoned_after_an_error() -> None:
    film = Noting()
    with pytest.raises(KeyboardInterrupt), film:
        raise KeyboardInterrupt
    assert film.ends == ["abandoned"]
