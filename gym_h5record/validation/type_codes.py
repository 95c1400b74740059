"""Type codes: which ones a node may have, and whether a number is of the type that its code says."""

from __future__ import annotations

import numpy as np

from gym_h5record import schema as sc
from gym_h5record.format import NUMPY_SCALARS, TypeCode

__all__ = ["allowed_codes", "fits_type"]

_SCALAR_CODES = (TypeCode.INT, TypeCode.FLOAT, TypeCode.BOOL, *(TypeCode.NUMPY + k for k in range(len(NUMPY_SCALARS))))


def allowed_codes(node: sc.Node) -> np.ndarray:
    """Which codes a value of a node may have, ``(256,)`` bool; what is no value is not among them."""
    allowed = np.zeros(256, np.bool_)
    allowed[TypeCode.EXCEPTION] = True
    if isinstance(node, sc.Array):
        allowed[TypeCode.ARRAY] = True
    elif isinstance(node, sc.Scalar):
        allowed[[int(code) for code in _SCALAR_CODES]] = True
    elif not isinstance(node, sc.Opaque):
        allowed[TypeCode.VALUE] = True
    return allowed


def fits_type(items: np.ndarray, code: int) -> np.ndarray:
    """Which numbers of a column a type can have exactly.

    Args:
        items: Numbers, ``(n,)``.
        code: The code of a Python or NumPy number.
    """
    with np.errstate(all="ignore"):
        if code == TypeCode.INT:
            whole: np.ndarray = np.isfinite(items) & (np.trunc(items) == items)
            return whole
        dtype = _dtype(code)
        if dtype == items.dtype:
            return np.ones(len(items), np.bool_)
        cast = items.astype(dtype)
        same: np.ndarray = (cast.astype(items.dtype) == items) & ((cast < 0) == (items < 0))
        same |= np.isnan(items) & np.isnan(cast)
        return same


def _dtype(code: int) -> np.dtype:
    if code == TypeCode.FLOAT:
        return np.dtype(np.float64)
    return np.dtype(np.bool_ if code == TypeCode.BOOL else NUMPY_SCALARS[code - TypeCode.NUMPY])
