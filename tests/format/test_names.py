"""Names and numbers on disk: they are a contract with every file ever written."""

import h5py
import numpy as np
import pytest

from gym_h5record.format import names as fmt
from gym_h5record.format.names import SCALAR_TYPES, Origin, RowFlag, TypeCode, link_name, numpy_scalar_code
from tests.zoo import ODD_KEYS

# Type codes ---------------------------------------------------------------------------------------


def test_type_codes_never_change():
    assert {code.name: int(code) for code in TypeCode} == {
        "ABSENT": 0,
        "ARRAY": 1,
        "VALUE": 2,
        "INT": 3,
        "FLOAT": 4,
        "BOOL": 5,
        "NUMPY": 16,
        "EXCEPTION": 255,
    }


def test_codes_of_numpy_scalars_never_change():
    names = [
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
    ]
    assert [SCALAR_TYPES[16 + k] for k in range(12)] == [np.dtype(name).type for name in names]


def test_origins_and_row_flags_never_change():
    origins = {"RESET": 0, "STEP_TRIGGER": 1, "AFTER_DONE": 2, "AUTORESET": 3}
    assert {origin.name: int(origin) for origin in Origin} == origins
    assert {flag.name: int(flag) for flag in RowFlag} == {"FIRST": 1, "LAST": 2, "DISCARDED": 4, "ABSENT": 8}


def test_all_type_codes_fit_a_byte_and_differ():
    codes = [*map(int, TypeCode), *(TypeCode.NUMPY + k for k in range(1, len(fmt.NUMPY_SCALARS)))]
    assert len(set(codes)) == len(codes)
    assert max(codes) <= np.iinfo(np.uint8).max


@pytest.mark.parametrize("scalar", fmt.NUMPY_SCALARS, ids=lambda scalar: scalar.__name__)
def test_scalar_type_comes_back_from_its_code(scalar):
    code = numpy_scalar_code(scalar)
    assert code is not None
    assert SCALAR_TYPES[code] is scalar


@pytest.mark.parametrize(
    "kind", [int, float, bool, str, np.ndarray, np.longdouble, np.complex64, np.str_, np.datetime64]
)
def test_types_without_a_code_have_none(kind):
    assert numpy_scalar_code(kind) is None


@pytest.mark.parametrize("code", [0, 1, 2, 6, 15, 16 + 12, 254, 255, -1, 1000])
def test_code_of_no_single_number_has_no_type(code):
    assert code not in SCALAR_TYPES


# Names --------------------------------------------------------------------------------------------


def test_dataset_names_never_change():
    assert fmt.FORMAT == "gym_h5record"
    assert fmt.FORMAT_VERSION == 1
    assert [fmt.METADATA, fmt.OBSERVATIONS, fmt.ACTIONS, fmt.REWARDS] == [
        "metadata",
        "observations",
        "actions",
        "rewards",
    ]
    assert [fmt.TERMINATIONS, fmt.TRUNCATIONS, fmt.DONES] == ["terminations", "truncations", "dones"]
    assert [fmt.FRAMES, fmt.INFOS, fmt.TYPES, fmt.EPISODES, fmt.COMMIT] == [
        "frames",
        "infos",
        "types",
        "episodes",
        "commit",
    ]
    assert [fmt.VALUES, fmt.ENDS] == ["values", "ends"]
    assert [fmt.INFOS_JSON, fmt.EXCEPTIONS, fmt.EPISODE_JSON] == ["infos/json", "exceptions", "episodes/json"]


def test_marks_of_seeds_are_no_seeds():
    assert fmt.NO_SEED < 0 > fmt.SEED_IN_JSON
    assert fmt.NO_SEED != fmt.SEED_IN_JSON


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("camera", "camera"),
        ("camera/left", "camera%2Fleft"),
        ("50%", "50%25"),
        ("", "%"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("...", "..."),
        ("a.b", "a.b"),
        ("a\nb\0", "a%0Ab%00"),
        ("\x7f", "%7F"),
        ("añ😀", "añ😀"),
        ("\ud800x", "%uD800x"),
        (1, "1"),
        ((2, 3), "(2, 3)"),
        (None, "None"),
    ],
    ids=ascii,
)
def test_link_name_escapes_what_no_link_can_have(key, name):
    assert link_name(key) == name


def test_clashing_keys_get_names_of_their_own():
    taken = set()
    assert [link_name(key, taken) for key in ("1", 1, "1~1", 1.0, True, "1")] == [
        "1",
        "1~1",
        "1~1~1",
        "1.0",
        "True",
        "1~2",
    ]
    assert len(taken) == 6


def test_escaping_makes_no_clash():
    keys = ["", "%", ".", "%2E", "/", "%2F", "\ud800", "%uD800", "\0", "%00"]
    assert len({link_name(key) for key in keys}) == len(keys)


def test_a_name_is_free_of_what_was_taken_before():
    assert link_name("json", {"json"}) == "json~1"


def test_every_odd_key_names_an_hdf5_link_of_its_own(tmp_path):
    taken = set()
    names = [link_name(key, taken) for key in ODD_KEYS]
    with h5py.File(tmp_path / "links.h5", "w") as file:
        for number, name in enumerate(names):
            file[f"group/{name}"] = number
    with h5py.File(tmp_path / "links.h5") as file:
        assert set(file["group"]) == set(names)
        assert [int(file[f"group/{name}"][()]) for name in names] == list(range(len(names)))


def test_every_name_in_all_exists_and_is_unique():
    assert len(set(fmt.__all__)) == len(fmt.__all__)
    assert all(hasattr(fmt, name) for name in fmt.__all__)
