"""``Noise``: normal noise on leaves of floating point numbers, such as observations and actions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gym_h5record.errors import OptionError
from gym_h5record.training.transforms import LeafForm, SampleRandom, Transform, as_names, known_names

__all__ = ["Noise"]


@dataclass(frozen=True, eq=False)
class Noise(Transform):
    """Adds normal noise to every element of some leaves. Each leaf, step and element has noise of its own.

    Of a window and of a whole episode, the steps that the episode does not have get noise too: ``batch["mask"]`` says
    which these are.

    Attributes:
        leaves: The names of the leaves, one or several: ``"actions"``, or ``["observations/arm", "actions"]``.
        std: The standard deviation: a number, or an array of the shape of a value, such as one for each joint.
        clip: The least and the greatest value, each a number or such an array: ``(space.low, space.high)``. None for no
            bounds.

    Raises:
        OptionError: If an argument is wrong. When the sampler is made, if a leaf does not have floating point numbers,
            or ``std`` does not fit its shape.

    Example:
        >>> Noise("actions", 0.1, clip=(-1, 1)).std
        array(0.1)
    """

    leaves: str | Sequence[str]
    std: Any
    clip: tuple[Any, Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "leaves", as_names("Noise", self.leaves))
        object.__setattr__(self, "std", _numbers("std", self.std))
        if not (np.isfinite(self.std).all() and (self.std >= 0).all()):
            raise OptionError(f"Noise: std expects finite numbers from 0 on, got {self.std!r:.80}")
        if self.clip is not None:
            if not isinstance(self.clip, (tuple, list)) or len(self.clip) != 2:
                raise OptionError(f"Noise: clip expects a pair such as (-1, 1), got {self.clip!r:.80}")
            object.__setattr__(self, "clip", tuple(_numbers("clip", each) for each in self.clip))

    def fit(self, forms: Mapping[str, LeafForm]) -> Mapping[str, LeafForm]:
        """See ``Transform.fit``."""
        for name in known_names("Noise", self.leaves, forms):
            form = forms[name]
            if form.dtype.kind != "f":
                raise OptionError(f"Noise: {name} has values of {form.dtype}, and noise is for floating point numbers")
            for what, values in [("std", self.std), *(("clip", each) for each in self.clip or ())]:
                if values.shape != form.shape[len(form.shape) - values.ndim :] or values.ndim > len(form.shape):
                    raise OptionError(
                        f"Noise: {what} of shape {values.shape} does not fit the values of {name}, whose shape is "
                        f"{form.shape}"
                    )
        return forms

    def apply(self, leaves: dict[str, np.ndarray], random: SampleRandom) -> None:
        """See ``Transform.apply``."""
        for number, name in enumerate(self.leaves):
            values = leaves[name]
            noise = random.stream(number).normals(math.prod(values.shape[1:])).reshape(values.shape)
            found = values + self.std * noise
            if self.clip is not None:
                found = np.clip(found, *self.clip)
            leaves[name] = found.astype(values.dtype)


def _numbers(what: str, values: Any) -> np.ndarray:
    try:
        return np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise OptionError(f"Noise: {what} expects a number or an array of numbers, got {values!r:.80}") from error
