"""The lines of text below each frame of a video: the step, its action and reward, and the return so far."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from gym_h5record.display import printable, reward_text
from gym_h5record.errors import OptionError
from gym_h5record.media.lettering import Lettering
from gym_h5record.media.returns import with_reward, zero_return
from gym_h5record.media.summaries import summary
from gym_h5record.options import check_one_of
from gym_h5record.reading.episodes import Episode

__all__ = ["OVERLAYS", "Captions"]

OVERLAYS = ("step", "action", "reward", "return")
"""What can be written below a frame."""

_FONT_PX = (12, 20)
_PIXELS_PER_SIZE = 26  # a picture of 320 pixels gets letters of 12 pixels
_MARGIN_PX = 6
_NARROW_PX = 60  # a picture that has no room for margins
_WIDEST = {"action": "action 00", "reward": "reward -0.00", "return": "return -0000"}


class Captions:
    """Draws the lines below the frames of an episode.

    Action and reward are those of the step that is taken from the frame, ``episode.actions[step]``; the return is the
    sum of the rewards before it.

    Args:
        episode: The episode.
        overlay: What is written: some of ``OVERLAYS``.
        width: Pixels that the lines are wide.
        last: The number of the last frame that is shown.

    Attributes:
        height: Pixels that the lines are high, 0 without any.

    Raises:
        OptionError: If ``overlay`` names something else.
    """

    def __init__(self, episode: Episode, overlay: Sequence[str], width: int, last: int) -> None:
        if isinstance(overlay, str):
            raise OptionError(f"overlay: expected a list such as {list(OVERLAYS)}, got {overlay!r:.80}")
        for each in overlay:
            check_one_of("overlay", each, OVERLAYS)
        self._episode = episode
        self._width = width
        self._margin = _MARGIN_PX if width > _NARROW_PX else 0
        low, high = _FONT_PX
        self._lettering = Lettering(min(max(width // _PIXELS_PER_SIZE, low), high))
        self._rewards = iter(episode.rewards)  # in order: memory does not grow with the length of the episode
        self._return = zero_return(episode.total_reward)
        self._num_added = 0
        self._lines = self._laid_out(list(dict.fromkeys(overlay)), last)
        self.height = (len(self._lines) * self._lettering.height + _MARGIN_PX) if self._lines else 0
        self._places: dict[str, tuple[slice, slice]] = {}
        self._labels = self._draw_labels()

    def of_frame(self, frame: int) -> np.ndarray | None:
        """The lines below a frame, ``(height, width)`` uint8; None if nothing is written.

        Args:
            frame: The number of the frame, not lower than that of the call before.
        """
        if not self._lines:
            return None
        strip = self._labels.copy()
        for name, place in self._places.items():
            slot = strip[place]
            value = self._lettering.fitted(self._value(name, frame), slot.shape[1])
            slot[:, : value.shape[1]] = value
        return strip

    def _draw_labels(self) -> np.ndarray:
        """The lines without the values; notes where the values stand."""
        strip = np.zeros((self.height, self._width), np.uint8)
        for at, line in enumerate(self._lines):
            top = _MARGIN_PX // 2 + at * self._lettering.height
            rows = slice(top, top + self._lettering.height)
            for name, left, right in line:
                label = self._lettering.fitted(f"{name} ", right - left)
                strip[rows, left : left + label.shape[1]] = label // 2  # paler than the values
                self._places[name] = (rows, slice(left + label.shape[1], right))
        return strip

    def _value(self, name: str, frame: int) -> str:
        if name == "step":
            return f"{frame:,}"
        if name == "return":
            return reward_text(self._return_before(frame))
        if frame >= self._episode.length:
            return "-"  # no step is taken from the last frame
        column = self._episode.actions if name == "action" else self._episode.rewards
        return printable(summary(column[frame]))

    def _return_before(self, frame: int) -> Any:
        """The sum of the rewards before a frame."""
        for reward in itertools.islice(self._rewards, frame - self._num_added):
            self._return = with_reward(self._return, reward)
        self._num_added = frame
        return self._return

    def _laid_out(self, names: list[str], last: int) -> list[list[tuple[str, int, int]]]:
        """The lines: the names in each, with the pixels at which their places begin and end."""
        room = self._width - 2 * self._margin
        widest = {**_WIDEST, "step": f"step {last:,} "}
        widest["return"] = max(widest["return"], f"return {reward_text(self._episode.total_reward)}", key=len)
        wide = {name: self._lettering.width(widest[name]) for name in names}
        for name in names:
            column = self._episode.actions if name == "action" else self._episode.rewards
            if name != "step" and (column.ndim > 1 or column.dtype == object):  # arrays, dicts and texts need a line
                wide[name] = room
        lines: list[list[str]] = []
        for name in names:
            if lines and sum(wide[each] for each in lines[-1]) + wide[name] <= room:
                lines[-1].append(name)
            else:
                lines.append([name])
        return [_places(line, wide, self._margin, room) for line in lines]


def _places(line: list[str], wide: dict[str, int], margin: int, room: int) -> list[tuple[str, int, int]]:
    """Where the names of a line stand: the pixels at which their places begin and end."""
    total = sum(wide[name] for name in line)
    ends = np.cumsum([wide[name] for name in line]) * min(room, total * 2) / total
    edges = [margin, *(margin + ends).round().astype(int).tolist()]
    return [(name, left, right) for name, left, right in zip(line, edges[:-1], edges[1:], strict=True)]
