"""``Normalizer``: values brought to a common scale for a network, and its outputs brought back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from gym_h5record.display import counted, short_repr
from gym_h5record.errors import OptionError
from gym_h5record.format import names as fmt
from gym_h5record.format.names import link_name
from gym_h5record.options import check_one_of
from gym_h5record.training.scaling import MODES, LeafScale, leaf_scale
from gym_h5record.training.statistics import Statistics

__all__ = ["Normalizer"]

_NEXT = "next_"
_JSON_VERSION = 1
_LOW_AND_HIGH = (0.01, 0.99)


class Normalizer:
    """Brings values to a common scale, leaf by leaf: ``(value - offset) / scale`` for each element.

    ``from_stats`` makes one. It knows the shape and the dtype of every leaf, and is written as text by ``to_json``.

    Args:
        scales: The offset and the scale of each leaf.
        mode: What they were made from: ``"mean_std"``, ``"min_max"`` or ``"quantile"``.
        dtype: The dtype of normalised values.

    Attributes:
        mode: What offsets and scales were made from.
        dtype: The dtype of normalised values.

    Example:
        >>> import gym_h5record as h5r
        >>> with h5r.Recording(cartpole_path) as recording:
        ...     normalizer = h5r.Normalizer.from_stats(recording.stats())
        ...     batch = normalizer.normalize(next(recording.iter_batches(1024)))
        >>> normalizer.leaves, batch["observations"].std(axis=0).round(3).tolist(), batch["actions"].dtype
        (('observations',), [1.0, 1.0, 1.0, 1.0], dtype('int64'))
    """

    def __init__(self, scales: Iterable[LeafScale], mode: str, dtype: Any = np.float32) -> None:
        self._scales = {scale.name: scale for scale in scales}
        self.mode = mode
        self.dtype = np.dtype(dtype)

    @classmethod
    def from_stats(
        cls,
        stats: Statistics,
        *,
        mode: str = "mean_std",
        leaves: str | Iterable[str] | None = None,
        quantiles: tuple[float, float] = _LOW_AND_HIGH,
        dtype: Any = np.float32,
    ) -> Normalizer:
        """A normaliser for the values that the statistics are about.

        An element whose values differ by less than 1e-12 of the largest one counts as constant: its scale is 1, so that
        nothing is divided by zero. So does one with a scale below 1e-150, and one whose two quantiles do not differ.

        Args:
            stats: From ``recording.stats()``.
            mode: ``"mean_std"``: mean 0 and standard deviation 1. ``"min_max"``: from -1 to 1. ``"quantile"``: two
                quantiles become -1 and 1, and values beyond them are not cut off, so that the inverse is exact.
            leaves: Names of leaves, or of Dict and Tuple spaces with all leaves in them: ``"observations/arm"``. By
                default these are the observations and actions of floats. Pictures, and actions of a Discrete space,
                are not among them.
            quantiles: The two quantiles of the mode ``"quantile"``.
            dtype: The dtype of normalised values, one of floats.

        Raises:
            OptionError: If there is no such mode or leaf, a leaf has an element without a finite value, or the
                quantiles are not in ascending order.
        """
        check_one_of("mode", mode, MODES)
        if np.dtype(dtype).kind != "f":
            raise OptionError(f"dtype: expected one of floats, got {dtype!r:.80}")
        if len(quantiles) != len(_LOW_AND_HIGH) or not 0 <= quantiles[0] < quantiles[1] <= 1:
            raise OptionError(f"quantiles: expected two numbers in ascending order, from 0 to 1, got {quantiles!r:.80}")
        names = (
            _names_of_floats(stats)
            if leaves is None
            else _named(stats, [leaves] if isinstance(leaves, str) else leaves)
        )
        return cls([leaf_scale(stats[name], mode, quantiles) for name in names], mode, dtype)

    @property
    def leaves(self) -> tuple[str, ...]:
        """The names of the leaves that are normalised."""
        return tuple(self._scales)

    # Values ---------------------------------------------------------------------------------------

    def normalize(self, values: Any, name: str | None = None) -> Any:
        """Values, normalised: a batch, or the values of one leaf or one space.

        Arrays may have any axes in front of those of one value: none for a single observation, the samples and the
        steps of a window in a batch. Arguments are not changed.

        Args:
            values: Without ``name`` a batch: a dict with the keys ``"observations"``, ``"actions"`` and so on.
                ``"next_observations"`` are normalised like ``"observations"``. What belongs to no leaf of the
                normaliser is passed on as it is.
            name: What the values are: ``"observations"`` for an observation or several, also of a Dict or Tuple
                space; ``"observations/arm/pos"`` for a leaf.

        Raises:
            OptionError: If the normaliser has no leaf of this name, or values have another shape than the leaf.
        """
        return self._map(values, name, lambda scale, each: scale.normalize(each, self.dtype))

    def inverse(self, values: Any, name: str | None = None) -> Any:
        """Normalised values as they were recorded, in the recorded dtype: the inverse of ``normalize``.

        Args:
            values: As for ``normalize``, such as the output of a policy.
            name: As for ``normalize``, such as ``"actions"``.

        Raises:
            OptionError: As for ``normalize``.
        """
        return self._map(values, name, LeafScale.inverse)

    # Text -----------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """The normaliser as JSON text. ``from_json`` gives an equal one, every bit."""
        leaves = {
            name: {
                "shape": [*scale.offset.shape],
                "dtype": scale.dtype.name,
                "offset": scale.offset.ravel().tolist(),
                "scale": scale.scale.ravel().tolist(),
            }
            for name, scale in self._scales.items()
        }
        content = {"normalizer": _JSON_VERSION, "mode": self.mode, "dtype": self.dtype.name, "leaves": leaves}
        return json.dumps(content, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Normalizer:
        """The normaliser of a JSON text from ``to_json``.

        Raises:
            OptionError: If the text is not that of a normaliser.
        """
        try:
            content = json.loads(text)
            if content["normalizer"] != _JSON_VERSION:
                raise ValueError(f"it has version {content['normalizer']!r:.80}, this package knows {_JSON_VERSION}")
            check_one_of("mode", content["mode"], MODES)
            scales = [_scale_of_json(name, leaf) for name, leaf in content["leaves"].items()]
            dtype = _numeric_dtype(content["dtype"], "f")
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise OptionError(f"this is not the JSON text of a Normalizer: {error!r:.200}") from error
        return cls(scales, content["mode"], dtype)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Normalizer):
            return NotImplemented
        return (self.mode, self.dtype, self._scales) == (other.mode, other.dtype, other._scales)

    __hash__ = None  # type: ignore[assignment]  # arrays have no hash

    def __repr__(self) -> str:
        return f"<Normalizer {self.mode}: {', '.join(self._scales)}>"

    # How values are found -------------------------------------------------------------------------

    def _map(self, values: Any, name: str | None, function: Callable[[LeafScale, Any], np.ndarray]) -> Any:
        if name is not None:
            self._check_known(name)
            return self._mapped(values, name, function)
        if not isinstance(values, Mapping):
            raise OptionError(
                f"expected a batch, got {short_repr(values)}: say which leaf it is, as in normalize(values, 'actions')"
            )
        return {key: self._mapped(each, str(key).removeprefix(_NEXT), function) for key, each in values.items()}

    def _mapped(self, values: Any, name: str, function: Callable[[LeafScale, Any], np.ndarray]) -> Any:
        if name in self._scales:
            return function(self._scales[name], values)
        if isinstance(values, Mapping):
            taken: set[str] = set()
            parts = {key: f"{name}/{link_name(key, taken)}" for key in values}
            return {key: self._mapped(each, parts[key], function) for key, each in values.items()}
        if isinstance(values, tuple):
            self._check_tuple(values, name)
            return tuple(self._mapped(each, f"{name}/{place}", function) for place, each in enumerate(values))
        if any(each.startswith(f"{name}/") for each in self._scales):
            raise OptionError(f"{name}: expected a dict or a tuple, got {short_repr(values)}")
        return values

    def _check_tuple(self, values: tuple[Any, ...], name: str) -> None:
        """Raise an ``OptionError`` if values lack a leaf: ``columns=["observations/1"]`` gives a tuple of one value."""
        below = (each.removeprefix(f"{name}/") for each in self._scales if each.startswith(f"{name}/"))
        places = {each.partition("/")[0] for each in below}
        lacking = sorted(places - {str(place) for place in range(len(values))})
        if lacking:
            raise OptionError(
                f"{name}: a tuple of {counted(len(values), 'value')} has no {name}/{lacking[0]}: normalise the values "
                f"one by one, as in normalize(value, '{name}/{lacking[0]}')"
            )

    def _check_known(self, name: str) -> None:
        if not any(each == name or each.startswith(f"{name}/") for each in self._scales):
            raise OptionError(f"the normalizer has no leaf {name!r:.80}; it has {', '.join(self._scales)}")


def _names_of_floats(stats: Statistics) -> list[str]:
    """The leaves that are normalised unless the caller says otherwise."""
    roots = (fmt.OBSERVATIONS, fmt.ACTIONS)
    names = [name for name in stats if name.partition("/")[0] in roots and stats[name].dtype.kind == "f"]
    if not names:
        raise OptionError(f"no observation or action consists of floats; name leaves of {', '.join(stats)}")
    return names


def _named(stats: Statistics, leaves: Iterable[str]) -> list[str]:
    """The leaves of these names, and those below them, each once."""
    found: dict[str, None] = {}
    for name in leaves:
        below = [each for each in stats if each == name or each.startswith(f"{name}/")]
        if not below:
            why = stats.skipped.get(name) or f"there are {', '.join(stats)}"
            raise OptionError(f"leaves: there is no leaf {name!r:.80} to normalise: {why}")
        found.update(dict.fromkeys(below))
    if not found:
        raise OptionError("leaves: expected the name of at least one leaf")
    return [*found]


def _scale_of_json(name: str, leaf: Any) -> LeafScale:
    shape = tuple(leaf["shape"])
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(f"{name} has the shape {shape!r:.80}")
    offset, scale = (np.array(leaf[key], np.float64) for key in ("offset", "scale"))
    for array in (offset, scale):
        if array.shape != (math.prod(shape),) or not np.isfinite(array).all():
            raise ValueError(f"{name} needs {math.prod(shape)} finite offsets and scales")
    if not (scale > 0).all():
        raise ValueError(f"{name} has a scale that is not positive")
    return LeafScale(name, offset.reshape(shape), scale.reshape(shape), _numeric_dtype(leaf["dtype"], "biuf"))


def _numeric_dtype(name: Any, kinds: str) -> np.dtype:
    dtype = np.dtype(name) if type(name) is str else None
    if dtype is None or dtype.kind not in kinds:
        raise ValueError(f"{name!r:.80} is no dtype of numbers")
    return dtype
