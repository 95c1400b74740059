"""``RandomCrop`` and ``RandomShift``: a part of a picture, or the picture moved by a few pixels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gym_h5record.errors import OptionError
from gym_h5record.training.transforms import LeafForm, SampleRandom, Transform, as_names, known_names

__all__ = ["RandomCrop", "RandomShift"]

_CHANNELS = (1, 3, 4)
"""Grey, RGB, and RGBA or four stacked grey pictures: as in ``gym_h5record.torch``."""


class _PictureTransform(Transform):
    """A change of the rows and columns of pictures: the same for all pictures of a sample.

    Attributes:
        leaves: The names of the leaves, one or several.
        axes: See ``RandomCrop``.
    """

    leaves: str | Sequence[str]
    axes: tuple[int, int] | None

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _check(self) -> None:
        object.__setattr__(self, "leaves", as_names(self._name, self.leaves))
        axes = self.axes
        if axes is not None and not (
            isinstance(axes, (tuple, list)) and len(axes) == 2 and all(type(each) is int and each < 0 for each in axes)
            and axes[1] == axes[0] + 1
        ):  # fmt: skip
            raise OptionError(
                f"{self._name}: axes expects two axes side by side, counted from the end, such as (-3, -2), "
                f"got {axes!r:.80}"
            )

    def fit(self, forms: Mapping[str, LeafForm]) -> Mapping[str, LeafForm]:
        """See ``Transform.fit``."""
        changed = dict(forms)
        sizes: dict[str, tuple[int, int]] = {}
        for name in known_names(self._name, self.leaves, forms):
            form = forms[name]
            row_axis = self._row_axis(form.shape)
            if len(form.shape) < -row_axis or form.dtype.kind not in "uif":
                raise OptionError(
                    f"{self._name}: {name} has no pictures, its values are {form.dtype} of shape {form.shape}"
                )
            before, behind = form.shape[:row_axis], form.shape[len(form.shape) + row_axis + 2 :]
            sizes[name] = height, width = form.shape[row_axis], form.shape[row_axis + 1]
            new = self._size_of(name, height, width)
            changed[name] = replace(form, shape=(*before, *new, *behind))
        if len({*sizes.values()}) > 1:
            raise OptionError(
                f"{self._name}: its leaves have pictures of several sizes, "
                f"{', '.join(f'{name} {height}x{width}' for name, (height, width) in sizes.items())}: "
                "use a transform for each size"
            )
        return changed

    @abstractmethod
    def _size_of(self, name: str, height: int, width: int) -> tuple[int, int]:
        """The size of the pictures of a leaf when they have been changed."""

    def _row_axis(self, shape: tuple[int, ...]) -> int:
        """The axis of the rows of a picture, counted from the end. That of the columns is the next one."""
        if self.axes is not None:
            return self.axes[0]
        return -3 if len(shape) > 2 and shape[-1] in _CHANNELS else -2

    def _views(self, values: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, int]:
        """All parts of a size, as a view ``(n, first rows, first columns, *shape)``; and the axis of the rows."""
        row_axis = self._row_axis(values.shape[1:])
        axes = (row_axis, row_axis + 1)
        windows = np.lib.stride_tricks.sliding_window_view(values, size, axes)
        at = values.ndim + row_axis
        windows = np.moveaxis(windows, (at, at + 1), (1, 2))  # where the parts begin
        return np.moveaxis(windows, (-2, -1), (at + 2, at + 3)), row_axis


@dataclass(frozen=True)
class RandomCrop(_PictureTransform):
    """Takes a part of each picture, at a random place. All pictures of a sample are cropped at the same place.

    These are the pictures of a stack, of a window, and of all leaves that are named together. For other places in
    ``next_observations``, use two transforms.

    Attributes:
        leaves: The names of the leaves, one or several: ``["observations", "next_observations"]``.
        size: Rows and columns of the part, or one number for both.
        axes: The axes of the rows and of the columns in a value of one step, counted from the end; None for the last
            two, or if the last one is 1, 3 or 4 long, for the two before it.

    Raises:
        OptionError: If an argument is wrong. When the sampler is made, if a leaf has no pictures, or smaller ones.

    Example:
        >>> RandomCrop(["observations", "next_observations"], 76).size
        (76, 76)
    """

    leaves: str | Sequence[str]
    size: Any
    axes: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        size = (self.size, self.size) if isinstance(self.size, (int, np.integer)) else self.size
        if (
            not isinstance(size, (tuple, list))
            or len(size) != 2
            or not all(isinstance(each, (int, np.integer)) and type(each) is not bool and each > 0 for each in size)
        ):
            raise OptionError(f"RandomCrop: size expects a positive integer or a pair of them, got {self.size!r:.80}")
        object.__setattr__(self, "size", tuple(int(each) for each in size))
        self._check()

    def _size_of(self, name: str, height: int, width: int) -> tuple[int, int]:
        rows, columns = self.size
        if rows > height or columns > width:
            raise OptionError(f"RandomCrop: {rows}x{columns} is more than {name} has, {height}x{width}")
        return rows, columns

    def apply(self, leaves: dict[str, np.ndarray], random: SampleRandom) -> None:
        """See ``Transform.apply``."""
        drawn = random.uniforms(2)
        for name in self.leaves:
            parts, _ = self._views(leaves[name], self.size)
            rows, columns = ((drawn[:, each] * parts.shape[1 + each]).astype(np.int64) for each in (0, 1))
            leaves[name] = parts[np.arange(len(parts)), rows, columns]


@dataclass(frozen=True)
class RandomShift(_PictureTransform):
    """Moves each picture by up to some pixels in both directions. What is behind the edge is the pixel at the edge.

    All pictures of a sample are moved alike: see ``RandomCrop``. This is the augmentation of DrQ (I. Kostrikov,
    D. Yarats and R. Fergus, ICLR 2021), which moves ``observations`` and ``next_observations`` in different ways: it
    needs two transforms.

    Attributes:
        leaves: The names of the leaves, one or several.
        pixels: By how many pixels at most.
        axes: As in ``RandomCrop``.

    Raises:
        OptionError: If an argument is wrong. When the sampler is made, if a leaf has no pictures.

    Example:
        >>> RandomShift("observations").pixels
        4
    """

    leaves: str | Sequence[str]
    pixels: int = 4
    axes: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if type(self.pixels) is bool or not isinstance(self.pixels, (int, np.integer)) or self.pixels < 1:
            raise OptionError(f"RandomShift: pixels expects a positive integer, got {self.pixels!r:.80}")
        self._check()

    def _size_of(self, name: str, height: int, width: int) -> tuple[int, int]:
        if not (height and width):
            raise OptionError(f"RandomShift: {name} has pictures without pixels")
        return height, width

    def apply(self, leaves: dict[str, np.ndarray], random: SampleRandom) -> None:
        """See ``Transform.apply``."""
        rows, columns = random.integers(2 * self.pixels + 1, 2).T
        for name in self.leaves:
            values = leaves[name]
            row_axis = self._row_axis(values.shape[1:])
            margins = [(0, 0)] * values.ndim
            margins[row_axis] = margins[row_axis + 1] = (self.pixels, self.pixels)
            padded = np.pad(values, margins, mode="edge")
            parts, _ = self._views(padded, (values.shape[row_axis], values.shape[row_axis + 1]))
            leaves[name] = parts[np.arange(len(parts)), rows, columns]
