"""Options: the error of a wrong value names the expected values and the given one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gym_h5record.errors import OptionError
from gym_h5record.options import check_atol, check_one_of


@pytest.mark.parametrize("value", ["gzip", None, False])
def test_a_known_value_passes(value: Any) -> None:
    check_one_of("compression", value, ("gzip", None, False))


@pytest.mark.parametrize("value", ["bzip2", 0, True, "", [], np.zeros(2)], ids=repr)
def test_an_unknown_value_is_refused_with_the_known_ones(value: Any) -> None:
    with pytest.raises(OptionError, match="compression: expected one of 'gzip', None, False, got "):
        check_one_of("compression", value, ("gzip", None, False))


def test_a_refused_value_is_not_quoted_in_full() -> None:
    with pytest.raises(OptionError) as caught:
        check_one_of("mode", "x" * 10_000, ("w", "a"))
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("atol", "expected"), [(0, 0.0), (1, 1.0), (1e-9, 1e-9), (float("inf"), float("inf"))])
def test_a_tolerance_is_a_float(atol: Any, expected: float) -> None:
    assert check_atol(atol) == expected
    assert type(check_atol(atol)) is float


@pytest.mark.parametrize("atol", [-1, -1e-300, float("nan"), "1", None, 1j], ids=repr)
def test_a_value_that_is_no_tolerance_is_refused(atol: Any) -> None:
    with pytest.raises(OptionError, match="atol: expected a number from 0 on, got "):
        check_atol(atol)
