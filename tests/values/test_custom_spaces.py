"""Spaces of other packages: registered ones come back equal, all others as what stands for them."""

import copy
import json
import pickle
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from gym_h5record.errors import CorruptRecordingError, UnsupportedSpaceError
from gym_h5record.values.custom_spaces import OpaqueSpace, is_registered, is_registered_name, register_space
from gym_h5record.values.space_json import space_from_json, space_to_json, unregistered_classes
from tests.custom_spaces import Anything, Grid, Unicode, every_custom_space, grids_registered, registered
from tests.zoo import samples

MODULE = Unicode.__module__
UNICODE = {"type": "$custom", "class": f"{MODULE}:Unicode", "repr": "Unicode()"}


def through_text(space):
    """The space that comes out of the JSON text of one."""
    return space_from_json(json.loads(json.dumps(space_to_json(space), allow_nan=False)))


# Without registration -----------------------------------------------------------------------------


def test_a_file_has_class_and_repr_of_a_custom_space():
    assert space_to_json(Unicode()) == UNICODE


def test_an_opaque_space_says_what_it_stands_for():
    space = through_text(Unicode())
    assert type(space) is OpaqueSpace
    assert (space.class_name, space.text) == (f"{MODULE}:Unicode", "Unicode()")
    assert repr(space) == f"OpaqueSpace('{MODULE}:Unicode', 'Unicode()')"
    assert (space.shape, space.dtype, space.is_np_flattenable) == (None, None, False)


@every_custom_space
def test_custom_spaces_come_back_inside_of_gymnasiums_own(space):
    again = through_text(space)
    assert again == through_text(space)
    assert again != spaces.Discrete(2)
    assert all(again.contains(value) for value in samples(space, 5))
    assert space_to_json(again) == space_to_json(space)


def test_addresses_are_left_out_of_the_text():
    assert through_text(Anything()).text == f"Anything(<{MODULE}.Anything object>)"
    assert through_text(Anything()) == through_text(Anything())


def test_a_long_repr_is_cut_short():
    class Long(gym.Space):
        def __repr__(self):
            return "x" * 123_456

    text = through_text(Long()).text
    assert text == "x" * 10_000 + " ... and 113456 more characters"


def test_odd_characters_of_a_repr_come_back():
    class Odd(gym.Space):
        def __repr__(self):
            return "\ud83d\ude00 \ud800 \x1b[2J \0"

    assert through_text(Odd()).text == "\ud83d\ude00 \ud800 \x1b[2J \0"
    assert "\x1b" not in repr(through_text(Odd()))


def test_opaque_spaces_are_equal_if_class_and_text_are():
    assert OpaqueSpace("a:B", "B()") == OpaqueSpace("a:B", "B()")
    assert OpaqueSpace("a:B", "B()") != OpaqueSpace("a:B", "B(1)")
    assert OpaqueSpace("a:B", "B()") != OpaqueSpace("a:C", "B()")
    assert OpaqueSpace("a:B", "B()") != "B()"


@pytest.mark.parametrize(("name", "text"), [(5, ""), ("a:B", None), ("x" * 1001, ""), ("a:B", "x" * 20_001)])
def test_an_opaque_space_that_could_not_be_read_again_is_refused(name, text):
    with pytest.raises(UnsupportedSpaceError, match="an OpaqueSpace needs text of up to"):
        OpaqueSpace(name, text)


def test_an_opaque_space_contains_everything_and_can_be_seeded_but_not_sampled():
    space = OpaqueSpace("a:B", "B()")
    assert space.seed(5) == 5
    assert None in space
    assert all(value in space for value in (1, "x", np.zeros(2), [space]))
    with pytest.raises(UnsupportedSpaceError, match="register_space with the class a:B"):
        space.sample()
    with pytest.raises(UnsupportedSpaceError, match="register_space"):
        spaces.Dict(a=space, b=spaces.Discrete(2)).sample()


@pytest.mark.parametrize("make", [copy.deepcopy, lambda space: pickle.loads(pickle.dumps(space))])
def test_an_opaque_space_can_be_copied_and_pickled(make):
    with grids_registered():
        described = space_from_json(space_to_json(Grid(3)), is_opaque=True)
    for space in (OpaqueSpace("a:B", "B()"), described):
        again = make(space)
        assert again == space
        assert again.description == space.description


def test_an_opaque_space_inside_a_space_can_be_batched():
    assert len(spaces.Sequence(OpaqueSpace("a:B", "B()"), stack=True).stacked_feature_space) == 1


def test_reading_imports_nothing():
    code = (
        "import sys; from gym_h5record.values.space_json import space_from_json as read;"
        "read({'type': '$custom', 'class': 'this:that', 'repr': '', 'json': None}); print('this' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n"


# With registration --------------------------------------------------------------------------------


def test_a_registered_class_comes_back_equal():
    with grids_registered():
        description = space_to_json(Grid(3))
        assert description["class"] == f"{MODULE}:Grid"
        assert description["json"] == {"size": 3}
        again = through_text(spaces.Tuple((Grid(3), Unicode())))[0]
        assert type(again) is Grid
        assert again == Grid(3)


def test_a_class_that_is_not_registered_any_more_is_read_as_opaque_and_keeps_what_the_file_says():
    with grids_registered():
        description = space_to_json(Grid(3))
    space = space_from_json(description)
    assert type(space) is OpaqueSpace
    assert space_to_json(space) == description
    with grids_registered():
        assert type(through_text(space)) is Grid


def test_without_registration_a_derived_class_is_read_as_what_it_is_derived_from():
    again = through_text(Grid(3))
    assert type(again) is spaces.Box
    assert again.shape == (3, 3)


def test_a_space_that_was_not_registered_when_it_was_recorded_stays_opaque():
    with registered(Unicode, lambda space: None, lambda json: Unicode()):
        assert type(space_from_json(UNICODE)) is OpaqueSpace
        assert type(through_text(Unicode())) is Unicode


def test_opaque_spaces_with_content_are_compared_by_it():
    with registered(Anything, lambda space: list(space.values), lambda json: Anything(*json)):
        one, same, other = (space_from_json(space_to_json(Anything(n)), is_opaque=True) for n in (1, 1, 2))
    bare = OpaqueSpace(one.class_name, one.text)
    assert one == same
    assert one != other
    assert one == bare == other


@pytest.mark.parametrize(
    "content", [None, [1, (2.5, float("inf"))], {"a": np.arange(3), 1: "ä\ud800"}, "$x", {"$tuple": 1}], ids=repr
)
def test_from_json_gets_what_to_json_gave(content):
    given = []
    with registered(Unicode, lambda space: content, lambda json: given.append(json) or Unicode()):
        through_text(Unicode())
    np.testing.assert_equal(given, [content])
    assert type(given[0]) is type(content)


def test_classes_derived_from_a_registered_one_are_not_registered():
    class Shouted(Unicode):
        pass

    with registered(Unicode, lambda space: None, lambda json: Unicode()):
        assert is_registered(Unicode())
        assert is_registered_name(f"{MODULE}:Unicode")
        assert not is_registered(Shouted())
        assert type(through_text(Shouted())) is OpaqueSpace


def test_another_class_of_the_same_name_is_not_registered():
    def make():
        class Twin(gym.Space):
            pass

        return Twin

    one, other = make(), make()
    with registered(one, lambda space: None, lambda json: one()):
        assert is_registered(one())
        assert not is_registered(other())
        assert unregistered_classes(one()) == []
        assert len(unregistered_classes(other())) == 1


def test_registering_again_takes_the_new_functions():
    with registered(Unicode, lambda space: 1, lambda json: Unicode()):
        register_space(Unicode, lambda space: 2, lambda json: Unicode())
        assert space_to_json(Unicode())["json"] == 2


@pytest.mark.parametrize("cls", [spaces.Box, spaces.Dict, gym.Space, OpaqueSpace], ids=lambda cls: cls.__name__)
def test_what_comes_back_anyway_is_not_registered(cls):
    with pytest.raises(UnsupportedSpaceError, match="comes back equal without being registered"):
        register_space(cls, lambda space: None, lambda json: None)


@pytest.mark.parametrize("given", [int, "Box", None, Unicode()], ids=repr)
def test_only_classes_of_spaces_can_be_registered(given):
    with pytest.raises(UnsupportedSpaceError, match="expected a class of gymnasium.Space"):
        register_space(given, lambda space: None, lambda json: None)


def _raise(_):
    raise KeyError("size")


def _deep(_):
    value = 0
    for _level in range(70):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("to_json", "message"),
    [(_raise, "KeyError: 'size'"), (lambda space: space, "an object of type"), (_deep, "nested too deep")],
    ids=["raises", "no-json", "deep"],
)
def test_a_to_json_that_fails_is_named(to_json, message):
    with (
        registered(Unicode, to_json, lambda json: Unicode()),
        pytest.raises(UnsupportedSpaceError, match=f"the to_json that register_space was given for .*{message}"),
    ):
        space_to_json(spaces.Dict(a=Unicode()))


@pytest.mark.parametrize(
    ("from_json", "message"),
    [(_raise, "KeyError: 'size'"), (lambda json: spaces.Discrete(2), "expected a space of the class")],
    ids=["raises", "another-class"],
)
def test_a_from_json_that_fails_is_named(from_json, message):
    with (
        registered(Unicode, lambda space: None, from_json),
        pytest.raises(CorruptRecordingError, match=f"^the from_json that register_space was given for .*{message}"),
    ):
        through_text(spaces.Tuple((spaces.Discrete(2), Unicode())))


# Hostile files ------------------------------------------------------------------------------------

HOSTILE = {
    "no-class": {"type": "$custom", "repr": ""},
    "no-text": {"type": "$custom", "class": "a:B"},
    "class-of-number": {**UNICODE, "class": 5},
    "class-of-list": {**UNICODE, "class": ["a"]},
    "class-too-long": {**UNICODE, "class": "a" * 10**6},
    "text-of-number": {**UNICODE, "repr": 5},
    "text-of-bytes": {**UNICODE, "repr": {"$bytes": ""}},
    "text-unknown-tag": {**UNICODE, "repr": {"$eval": "1"}},
    "text-too-long": {**UNICODE, "repr": "a" * 10**6},
    "json-unknown-tag": {**UNICODE, "json": {"$eval": "1"}},
}


@pytest.mark.parametrize("description", HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_description_is_corrupt(description):
    with (
        registered(Unicode, lambda space: None, lambda json: Unicode()),
        pytest.raises(CorruptRecordingError, match="not the description of a space|the from_json .* failed"),
    ):
        space_from_json(description)
