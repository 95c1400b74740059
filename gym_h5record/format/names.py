"""Every name and number of the file format, as ``docs/format.md`` defines them.

All other modules take the names of datasets, attributes and codes from here.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

import numpy as np

__all__ = [
    "ACTIONS",
    "CHECKSUMS",
    "COMMIT",
    "DESCRIPTION_ATTRIBUTES",
    "DONES",
    "ENDS",
    "EPISODES",
    "EPISODE_COLUMNS",
    "EPISODE_ENVS",
    "EPISODE_JSON",
    "EXCEPTIONS",
    "EXTRAS",
    "EXTRAS_JSON",
    "FORMAT",
    "FORMAT_VERSION",
    "FRAMES",
    "INFOS",
    "INFOS_JSON",
    "MASKS",
    "MASK_NAMES",
    "METADATA",
    "METADATA_ATTRIBUTES",
    "NO_SEED",
    "NUMPY_SCALARS",
    "NUM_ENVS",
    "OBSERVATIONS",
    "POSITIONS",
    "REWARDS",
    "ROOT_ATTRIBUTES",
    "SCALAR_TYPES",
    "SEED_IN_JSON",
    "SNAPSHOT",
    "TERMINATIONS",
    "TIMES",
    "TRUNCATIONS",
    "TYPES",
    "VALUES",
    "Origin",
    "RowFlag",
    "TypeCode",
    "link_name",
    "numpy_scalar_code",
]

FORMAT = "gym_h5record"
FORMAT_VERSION = 1

METADATA = "metadata"
OBSERVATIONS = "observations"
ACTIONS = "actions"
REWARDS = "rewards"
TERMINATIONS = "terminations"
TRUNCATIONS = "truncations"
DONES = "dones"
FRAMES = "frames"
INFOS = "infos"
EXTRAS = "extras"
TIMES = "times"
TYPES = "types"
EPISODES = "episodes"
COMMIT = "commit"
POSITIONS = "positions"
CHECKSUMS = "checksums"
MASKS = "masks"
MASK_NAMES = "mask_names"  # the attribute of /metadata that lists the datasets of /masks

ROOT_ATTRIBUTES = ("format", "format_version", "fps")
NUM_ENVS = "num_envs"  # one more attribute of the root, in vector recordings
METADATA_ATTRIBUTES = (
    "run_id",
    "agent_id",
    "user",
    "env_name",
    "env_class",
    "env_wrappers",
    "env_spec",
    "env_spec_problem",
    "observation_space",
    "action_space",
    "render_mode",
    "frames",
    "rom_md5",
    "recording_parent",
    "vector",
    "created_at",
    "versions",
    "platform",
    "total_steps",
    "total_episodes",
    "discarded_episodes",
    "discarded_steps",
    "schema",
    "compression",
    "journal_id",
    MASK_NAMES,
)

DESCRIPTION_ATTRIBUTES = (
    *("description", "unit", "DIMENSION_LABELS"),
    *("CLASS", "IMAGE_VERSION", "IMAGE_SUBCLASS", "INTERLACE_MODE"),
)
"""The names of the attributes of a dataset: our own two, that of HDF5's dimension scales, and those of its images."""

# The two children of every ragged column.
VALUES = "values"
ENDS = "ends"

# Ragged columns of JSON text.
INFOS_JSON = "infos/json"
EXTRAS_JSON = "extras/json"
EXCEPTIONS = "exceptions"
EPISODE_JSON = "episodes/json"
EPISODE_ENVS = "episodes/envs"  # in vector recordings: the lane of each episode
SNAPSHOT = "snapshot"  # a key of that JSON

EPISODE_COLUMNS: dict[str, np.dtype] = {
    "starts": np.dtype(np.int64),
    "lengths": np.dtype(np.int64),
    "returns": np.dtype(np.float64),
    "seeds": np.dtype(np.int64),
    "ids": np.dtype(np.int64),
    "terminated": np.dtype(np.bool_),
    "truncated": np.dtype(np.bool_),
    "complete": np.dtype(np.bool_),
    "origins": np.dtype(np.uint8),
}
"""The columns of ``/episodes`` with one number per episode, and their dtypes."""

NO_SEED = -1
SEED_IN_JSON = -2  # a seed beyond int64, kept in the episode's JSON


class Origin(IntEnum):
    """How an episode of the file began (``/episodes/origins``)."""

    RESET = 0
    STEP_TRIGGER = 1  # ``step_trigger`` began recording in the middle of an episode
    AFTER_DONE = 2  # ``step`` was called after the episode had ended
    AUTORESET = 3  # a vector environment has reset the environment itself, without seed and options


class RowFlag(IntFlag):
    """Marks of a row in the journal. The file does not have them."""

    FIRST = 1
    LAST = 2
    DISCARDED = 4  # the episode that ends with this row is not wanted
    ABSENT = 8  # of a lane: it has no row here, while other lanes have one


class TypeCode(IntEnum):
    """Python type of one value (``/types``).

    ``NUMPY + k`` is the k-th of ``NUMPY_SCALARS``.
    """

    ABSENT = 0  # padding, or an info key that this row does not have
    ARRAY = 1  # numpy.ndarray with the column's dtype and shape
    VALUE = 2  # dict, tuple, str, sequence, graph or choice, as the space declares
    INT = 3
    FLOAT = 4
    BOOL = 5
    NUMPY = 16
    EXCEPTION = 255  # the exact value is in /exceptions


NUMPY_SCALARS: tuple[type[np.generic], ...] = (
    np.bool_,
    np.int8,
    np.int16,
    np.int32,
    np.int64,
    np.uint8,
    np.uint16,
    np.uint32,
    np.uint64,
    np.float16,
    np.float32,
    np.float64,
)
"""The NumPy scalar types with a type code, in the order of their codes."""

_CODE_OF_SCALAR = {scalar: TypeCode.NUMPY + k for k, scalar in enumerate(NUMPY_SCALARS)}

SCALAR_TYPES: dict[int, type] = {
    TypeCode.INT: int,
    TypeCode.FLOAT: float,
    TypeCode.BOOL: bool,
    **{int(code): scalar for scalar, code in _CODE_OF_SCALAR.items()},
}
"""The Python or NumPy type of a single number, by type code."""


def numpy_scalar_code(scalar: type) -> int | None:
    """The type code of a NumPy scalar type, or None if it has no code."""
    return _CODE_OF_SCALAR.get(scalar)


def link_name(key: object, taken: set[str] | None = None) -> str:
    """The HDF5 link name of the child ``key`` of a Dict.

    Slashes, percent signs and control characters are percent-encoded, lone
    surrogates become ``%uD800``. A name that is already in ``taken`` gets ``~1``,
    ``~2`` ... behind it. The schema keeps the key itself.

    Example:
        >>> link_name("camera/left")
        'camera%2Fleft'
    """
    text = "".join(map(_escape, str(key)))
    if text in ("", ".", ".."):
        text = text.replace(".", "%2E") or "%"
    taken = set() if taken is None else taken
    name, tries = text, 0
    while name in taken:
        tries += 1
        name = f"{text}~{tries}"
    taken.add(name)
    return name


def _escape(character: str) -> str:
    code = ord(character)
    if character in "/%" or code < 0x20 or code == 0x7F:
        return f"%{code:02X}"
    return f"%u{code:04X}" if 0xD800 <= code <= 0xDFFF else character
