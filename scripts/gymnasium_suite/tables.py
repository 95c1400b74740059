"""Which of Gymnasium's tests are left out, and which must fail with any wrapper around the environment, and why.

The keys are regular expressions for the whole id of a test.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_MUJOCO = "(Ant|HalfCheetah|Hopper|Humanoid|HumanoidStandup|Inverted(Double)?Pendulum|Pusher|Reacher|Swimmer|Walker2d)"

_OPENGL = "needs OpenGL; without it, it ends the interpreter"

LEFT_OUT = {
    r"tests/envs/mujoco/test_mujoco_rendering\.py::.*": _OPENGL,
    rf"tests/envs/test_rendering\.py::test_render_modes\[{_MUJOCO}-v\d\]": _OPENGL,
    r"tests/wrappers/vector/test_human_rendering\.py::.*-Ant-.*": _OPENGL,
}

_CHECKER = r"tests/utils/test_env_checker\.py::"
_PASSIVE_CHECKER = r"tests/utils/test_passive_env_checker\.py::"
_ENV_SPEC = r"tests/envs/registration/test_env_spec\.py::"
_MAKE = r"tests/envs/registration/test_make\.py::"

_SIGNATURE = "reads the signature of a `reset` that is wrong on purpose; a wrapper has a right one"
_WRAPPED = "check_env warns about every wrapper, and the test wants no warning"
_SPEC = "compares the list of wrappers in the spec with an expected one"
_SPEC_TWICE = "makes a second environment from the spec, while the recorder in the spec has its path"

EXPECTED_FAILURES = {
    _CHECKER + r"test_no_error_warnings\[env[234]\]": _WRAPPED,
    _CHECKER + r"test_check_reset_seed_determinism\[Error-<lambda>-The `reset` method does not .*": _SIGNATURE,
    _CHECKER + r"test_check_reset_seed_determinism\[AssertionError-<lambda>-message1\]": _SIGNATURE,
    _CHECKER + r"test_check_reset_seed_determinism\[UserWarning-_reset_default_seed-message4\]": _SIGNATURE,
    _CHECKER + r"test_check_reset_return_info_deprecation\[.*-_deprecated_return_info-.*": _SIGNATURE,
    _CHECKER + r"test_check_reset_options": _SIGNATURE,
    _PASSIVE_CHECKER + r"test_passive_env_reset_checker\[.*-_reset_(no_seed|seed_default|no_option)-.*": _SIGNATURE,
    _ENV_SPEC + r"test_full_integration": _SPEC,
    _ENV_SPEC + r"test_env_spec_pprint": _SPEC,
    _MAKE + r"test_no_arguments": _SPEC,
    _MAKE + r"test_make_with_env_spec": _SPEC,
    _MAKE + r"test_make_with_env_spec_levels": _SPEC_TWICE,
    _MAKE + r"test_wrapped_env_entry_point": _SPEC_TWICE,
    r"tests/envs/registration/test_make_vec\.py::test_make_vec_with_spec_additional_wrappers": (
        "asks for the class of the outermost wrapper"
    ),
    r"tests/wrappers/test_record_constructor_args\.py::test_env_spec_roundtrip_keeps_wrapper_arguments": _SPEC_TWICE,
    r"tests/envs/registration/test_make_vec\.py::test_make_vec_(env_id|vectorization_mode|wrappers)": (
        "asks for the class of the outermost wrapper"
    ),
    r"tests/vector/test_vector_wrapper\.py::test_vector_env_wrapper_attributes": (
        "calls a method of the environment on what is right below the outermost wrapper"
    ),
    r"tests/vector/test_autoreset_mode\.py::"
    r"test_(autoreset_(next_step|within_step|disabled)|same_step_final_obs)\[.*": (
        "set_attr gives a new attribute to the outermost wrapper, and the environment below looks for it"
    ),
}

COUNTS_WARNINGS = {
    _PASSIVE_CHECKER
    + r"test_passive_env_step_checker\[.*": "steps before a reset, or gets a malformed result on purpose",
    r"tests/vector/test_async_vector_env\.py::test_async_vector_subenv_error": "steps before a reset",
}
"""Tests that want no other warning than their own, where the recorder rightly warns: its warnings are not raised."""


def reason(table: Mapping[str, str], test: str) -> str | None:
    """The reason for a test in one of the tables; None if the test is not in it."""
    return next((each for pattern, each in table.items() if re.fullmatch(pattern, test, re.DOTALL)), None)
