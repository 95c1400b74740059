"""The meter: a value may have so much of everything, and no more."""

import numpy as np
import pytest

from gym_h5record import limits
from gym_h5record.format.meter import Meter


@pytest.fixture
def meter():
    return Meter(lambda field, start, stop: np.arange(start, stop))


def test_items_are_those_of_the_reader(meter):
    assert meter.items("x", 2, 4).tolist() == [2, 3]


@pytest.mark.parametrize(
    ("measure", "limit"),
    [("objects", limits.MAX_LIST_ITEMS), ("bytes", limits.MAX_VALUE_BYTES)],
    ids=["objects", "bytes"],
)
def test_what_is_counted_adds_up_to_the_limit(meter, measure, limit):
    count = getattr(meter, measure)
    count(limit - 1)
    count(1)
    count(0)
    with pytest.raises(ValueError, match=f"a value has more than {limit} {measure}"):
        count(1)


def test_json_values_add_up_and_strings_are_one_value_each(meter, monkeypatch):
    monkeypatch.setattr("gym_h5record.format.meter.MAX_VALUES", 10)
    meter = Meter(meter.items)
    meter.json("[1,2,3]")  # three
    meter.json('{"a":[{"b,{[":",,,,,,,,,,"}]}')  # three
    meter.json("5")
    meter.json("[1,2,3,4]")  # four
    with pytest.raises(ValueError, match="a value has more than 10 values in JSON"):
        meter.json("[]")
