"""Hypothesis strategies: spaces of any kind, and values that an environment may put into an info."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.zoo import DTYPES, samples

PROFILE = settings(
    derandomize=True,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""The same examples in every run, however slow the machine."""

# Values -------------------------------------------------------------------------------------------

any_text = st.text(st.characters(exclude_categories=()), max_size=8)
"""Text of any code points, with lone surrogates and control characters."""


def _bits(dtype: Any) -> st.SearchStrategy[Any]:
    """Floats made from their bits: quiet NaNs of every payload, every subnormal, both zeros."""
    kind = np.dtype(dtype)
    unsigned = np.dtype(f"u{kind.itemsize}")
    all_ones, quiet = int(np.array(np.inf, kind).view(unsigned)), 1 << (np.finfo(kind).nmant - 1)

    def number(bits: int) -> Any:
        found = np.array(bits, unsigned).view(kind)[()]
        return np.array(bits | quiet, unsigned).view(kind)[()] if np.isnan(found) else found

    any_bits = st.integers(0, int(np.iinfo(unsigned).max))
    return (any_bits | any_bits.map(lambda bits: bits | all_ones | quiet)).map(number)


python_floats = st.floats() | _bits(np.float64).map(lambda number: number.item())

numpy_scalars = st.one_of(
    st.booleans().map(np.bool_),
    *(
        st.integers(int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)).map(dtype)
        for dtype in DTYPES
        if np.dtype(dtype).kind in "iu"
    ),
    *(_bits(dtype) for dtype in DTYPES if np.dtype(dtype).kind == "f"),
)
"""NumPy scalars of every type that has a type code."""

other_numpy_scalars = st.one_of(
    hnp.from_dtype(np.dtype("M8[ms]")),
    hnp.from_dtype(np.dtype("m8[D]")),
    hnp.from_dtype(np.dtype(np.complex64)),
    any_text.map(np.str_),
    st.binary(max_size=5).map(np.bytes_),
)

plain_arrays = hnp.arrays(
    st.sampled_from([np.dtype(dtype) for dtype in DTYPES]) | hnp.complex_number_dtypes() | hnp.datetime64_dtypes(),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
"""Arrays of up to three axes, with NaN payloads, in either byte order."""

keys = st.recursive(
    any_text | st.integers(-3, 3) | st.none() | st.floats(allow_nan=False) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=2).map(tuple),
    max_leaves=3,
)
"""Keys of dicts."""

numbers = st.booleans() | st.integers() | python_floats | numpy_scalars

scalars = st.none() | numbers | any_text | st.binary(max_size=5) | st.complex_numbers() | other_numpy_scalars


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(any_text, inner, max_size=3),
        st.dictionaries(keys, inner, max_size=3),
        st.lists(inner, max_size=3).map(_object_array),
    )


def _object_array(items: list[Any]) -> np.ndarray:
    array = np.empty(len(items), object)
    for index, item in enumerate(items):
        array[index] = item
    return array


values = st.recursive(
    scalars | plain_arrays | st.frozensets(keys, max_size=3) | st.sets(keys, max_size=3), _containers, max_leaves=8
)
"""Values that have an exact form in tagged JSON."""

infos = st.dictionaries(
    any_text | st.sampled_from(["lives", "x", "array"]) | keys, numbers | plain_arrays | values, max_size=4
)
"""Info dicts, as ``reset`` and ``step`` return them."""

extras = st.dictionaries(
    any_text | st.sampled_from(["log_prob", "value", "json", "a/b"]), numbers | plain_arrays | values, max_size=4
)
"""What an agent may add to a step."""

# Spaces -------------------------------------------------------------------------------------------


@st.composite
def boxes(draw: st.DrawFn) -> spaces.Box:
    """A Box of any dtype, shape and bounds that can be sampled."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    # Gymnasium samples a whole-number Box of rank 0 as a scalar, which is not in the space.
    shape = draw(hnp.array_shapes(min_dims=0 if dtype.kind == "f" else 1, max_dims=4, min_side=0, max_side=3))
    if dtype.kind == "b":
        low, high = 0, 1
    elif dtype.kind in "iu":
        limits = np.iinfo(dtype)
        # Gymnasium samples through float64 and overflows near the limits of 64 bits.
        least, most = max(int(limits.min), -(2**52)), min(int(limits.max), 2**52)
        low, high = sorted(draw(st.tuples(st.integers(least, most), st.integers(least, most))))
    else:
        bounds = st.floats(-100, 100, width=16)
        low, high = sorted(draw(st.tuples(bounds, bounds)))
        low = draw(st.sampled_from([low, -np.inf]))
        high = draw(st.sampled_from([high, np.inf]))
    if draw(st.booleans()):
        return spaces.Box(low, high, shape, dtype.type)
    return spaces.Box(np.full(shape, low, dtype), np.full(shape, high, dtype), dtype=dtype.type)


discretes = st.builds(
    lambda n, start, dtype: spaces.Discrete(n, start=start, dtype=dtype),
    st.integers(1, 50),
    st.integers(0, 50),
    st.sampled_from([np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint32]),
)

multi_discretes = st.builds(
    lambda nvec, start: spaces.MultiDiscrete(nvec, start=np.full(nvec.shape, start)),
    hnp.arrays(np.int64, hnp.array_shapes(max_dims=3, max_side=3), elements=st.integers(1, 9)),
    st.integers(-5, 5),
)

multi_binaries = st.builds(spaces.MultiBinary, st.integers(1, 4) | hnp.array_shapes(max_dims=3, max_side=3))

texts = st.builds(
    lambda lengths, charset: spaces.Text(max(lengths), min_length=min(lengths), charset=charset),
    st.tuples(st.integers(0, 5), st.integers(0, 5)),
    # Gymnasium draws characters through an array of strings, which drops NUL.
    st.text(st.characters(exclude_categories=(), exclude_characters="\0"), min_size=1, max_size=6),
)

leaf_spaces = boxes() | discretes | multi_discretes | multi_binaries | texts


def any_spaces(depth: int = 3) -> st.SearchStrategy[gym.Space[Any]]:
    """Spaces of any kind that Gymnasium has, nested up to ``depth`` deep."""
    if depth == 0:
        return leaf_spaces
    inner = any_spaces(depth - 1)
    # ``ragged_spaces`` leaves out spaces that Gymnasium cannot batch: Dict(), Tuple(()), an integer Box of rank 0.
    return st.one_of(
        leaf_spaces,
        st.lists(st.tuples(keys, inner), max_size=3, unique_by=lambda pair: pair[0]).map(spaces.Dict),
        st.lists(inner, max_size=3).map(spaces.Tuple),
        ragged_spaces(inner),
    )


def ragged_spaces(inner: st.SearchStrategy[gym.Space[Any]]) -> st.SearchStrategy[gym.Space[Any]]:
    """Spaces whose values vary in size, made of ``inner`` spaces."""
    return st.one_of(
        texts,
        st.builds(spaces.Sequence, inner),
        st.builds(lambda space: spaces.Sequence(space, stack=True), inner.filter(can_batch)),
        st.builds(spaces.Graph, inner.filter(can_batch), st.none() | inner.filter(can_batch)),
        st.lists(inner, min_size=1, max_size=3).map(spaces.OneOf),
    )


def can_batch(space: gym.Space[Any]) -> bool:
    """Whether Gymnasium itself can stack values of a space and take the stack apart again."""
    stacked = spaces.Sequence(space, stack=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return all(stacked.contains(value) for value in samples(stacked, 3))
    except (ValueError, TypeError, AttributeError, IndexError, KeyError, AssertionError, UserWarning):
        return False
