"""What datasets say about themselves."""

from __future__ import annotations

import numpy as np
import pytest

from gym_h5record.format import names as fmt
from gym_h5record.format.descriptions import Description, describe
from gym_h5record.format.names import DESCRIPTION_ATTRIBUTES
from gym_h5record.format.nodes import Field
from gym_h5record.format.schema import all_fields
from tests.writing import EVERYTHING, make_schema

UINT8, FLOAT = np.dtype(np.uint8), np.dtype(np.float32)


def test_every_dataset_of_a_recording_has_a_text_and_a_label_for_its_first_axis() -> None:
    schema = make_schema(EVERYTHING, infos=[{"x": 1.5, "note": "text"}], extras=[{"value": 0.5}])
    for field in all_fields(schema):
        description = describe(field)
        assert description.text, field.name
        assert len(description.labels) == 1 + len(field.shape), field.name
        assert description.labels[0] in ("row", "episode", "item"), field.name


def test_texts_are_short_as_every_file_has_them() -> None:
    fields = [*all_fields(make_schema(EVERYTHING, infos=[{"x": 1.5}]))]
    assert max(len(describe(field).text) for field in fields) < 60


def test_a_child_is_described_like_the_group_it_is_in() -> None:
    assert describe(Field("observations/arm/pos", FLOAT)).text == describe(Field(fmt.OBSERVATIONS, FLOAT)).text


def test_the_parts_of_a_ragged_column_are_told_apart() -> None:
    ends, values = (
        Field("infos/json/ends", np.dtype(np.int64), is_ends=True),
        Field("infos/json/values", UINT8, parent="infos/json/ends"),
    )
    assert (describe(ends).text, describe(values).text) == (
        "Infos without a dataset, as JSON: ends",
        "Infos without a dataset, as JSON: items",
    )
    assert (describe(ends).labels, describe(values).labels) == (("row",), ("item",))


def test_only_times_have_a_unit() -> None:
    assert describe(Field(fmt.TIMES, np.dtype(np.int64))).unit == "ns"
    assert describe(Field(fmt.REWARDS, np.dtype(np.float64))).unit == ""


@pytest.mark.parametrize(
    ("field", "labels", "picture"),
    [
        (Field("frames", UINT8, (210, 160, 3)), ("row", "height", "width", "channel"), "truecolor"),
        (Field("frames/front", UINT8, (4, 5, 3)), ("row", "height", "width", "channel"), "truecolor"),
        (Field("frames", UINT8, (4, 5)), ("row", "height", "width"), "grayscale"),
        (Field("frames/depth", FLOAT, (4, 5)), ("row", "", ""), ""),
        (Field("observations", UINT8, (84, 84)), ("row", "height", "width"), "grayscale"),
        (Field("observations/camera", UINT8, (48, 64, 3)), ("row", "height", "width", "channel"), "truecolor"),
        (Field("observations", UINT8, (8, 8)), ("row", "", ""), ""),  # a board
        (Field("observations", UINT8, (4, 84, 84)), ("row", "", "", ""), ""),  # a stack
        (Field("observations", UINT8, (128,)), ("row", ""), ""),
        (Field("actions", UINT8, (84, 84)), ("row", "", ""), ""),
        (
            Field("observations/x/values", UINT8, (84, 84), parent="observations/x/ends"),
            ("item", "height", "width"),
            "grayscale",
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Field) else None,
)
def test_a_picture_is_known_by_its_type_and_shape(field: Field, labels: tuple[str, ...], picture: str) -> None:
    assert (describe(field).labels, describe(field).picture) == (labels, picture)


def test_other_axes_have_labels_where_they_have_a_meaning() -> None:
    assert describe(Field(fmt.TYPES, UINT8, (7,))).labels == ("row", "value")
    assert describe(Field(fmt.COMMIT, np.dtype(np.int64))).labels == ("number",)
    assert describe(Field("checksums/rewards", np.dtype(np.uint32), (2,))).labels == ("chunk", "")
    assert describe(Field("episodes/starts", np.dtype(np.int64))).labels == ("episode",)


@pytest.mark.parametrize(
    ("field", "labels"),
    [
        (Field("rewards", FLOAT, num_lanes=4), ("row", "lane")),
        (Field(fmt.TYPES, UINT8, (7,), num_lanes=4), ("row", "lane", "value")),
        (Field("frames", UINT8, (4, 5, 3), num_lanes=4), ("row", "lane", "height", "width", "channel")),
        (Field("checksums/rewards", np.dtype(np.uint32), (2,), num_lanes=4), ("chunk", "lane", "")),
    ],
    ids=lambda each: each.name if isinstance(each, Field) else None,
)
def test_the_axis_of_the_lanes_has_a_label(field: Field, labels: tuple[str, ...]) -> None:
    assert describe(field).labels == labels


def test_a_dataset_without_a_known_name_says_nothing() -> None:
    assert describe(Field("x", FLOAT)) == Description(labels=("row",))


def test_the_attributes_have_the_names_that_other_programs_know() -> None:
    assert DESCRIPTION_ATTRIBUTES[:3] == ("description", "unit", "DIMENSION_LABELS")
    assert DESCRIPTION_ATTRIBUTES[3:] == ("CLASS", "IMAGE_VERSION", "IMAGE_SUBCLASS", "INTERLACE_MODE")
