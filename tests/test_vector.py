"""``gym_h5record.vector``: two names, loaded when the first of them is used."""

from __future__ import annotations

from typing import Any

import gym_h5record as h5r
from gym_h5record import vector
from gym_h5record.recorder import vector_wrapper
from gym_h5record.replay import vector_environment
from tests.test_architecture import OPTIONAL, run


def test_it_has_a_recorder_and_a_player_and_no_other_public_name() -> None:
    public = {name for name in vars(vector) if not name.startswith("_")}
    assert public == {"RecordToHDF5", "ReplayFromHDF5"} == set(vector.__all__)
    defined: tuple[Any, Any] = (vector_wrapper.RecordToHDF5, vector_environment.ReplayFromHDF5)
    assert (vector.RecordToHDF5, vector.ReplayFromHDF5) == defined


def test_it_is_an_attribute_of_the_package() -> None:
    assert h5r.vector is vector


def test_importing_the_package_does_not_load_it() -> None:
    assert run("import gym_h5record, sys; print('gym_h5record.vector' in sys.modules)") == "False"


def test_using_it_needs_no_import_of_its_own_and_loads_nothing_optional() -> None:
    code = "import gym_h5record as h5r, sys; h5r.vector.RecordToHDF5; h5r.vector.ReplayFromHDF5;"
    assert run(f"{code} print([name for name in {OPTIONAL!r} if name in sys.modules])") == "[]"
