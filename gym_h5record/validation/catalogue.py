"""Every kind of problem that validation knows: its code, how bad it is, what to do about it."""

from __future__ import annotations

from pathlib import Path

from gym_h5record.validation.problem import Problem, Severity

__all__ = ["CATALOGUE", "make_problem", "quote", "reason"]

_QUOTED_CHARACTERS = 80
_REASON_CHARACTERS = 160

_REPAIR = "Bring in what its recorder left: gym-h5record repair FILE"
_SALVAGE = "Copy what can be read into a new file: gym-h5record repair FILE --salvage NEW"
_COPY = "Copy the file again from where it came from, or save what is left: gym-h5record repair FILE --salvage NEW"
_UPGRADE = "Upgrade: pip install --upgrade gym_h5record"
_DELETE = "Nobody needs it any more; delete it."

CATALOGUE: dict[str, tuple[Severity, str]] = {
    # The file as a whole.
    "not-a-recording": (Severity.ERROR, ""),
    "format-version": (Severity.ERROR, _UPGRADE),
    "unreadable": (Severity.ERROR, _COPY),
    "interrupted": (Severity.ERROR, _REPAIR),
    "cut-short": (Severity.ERROR, _COPY),
    "left-behind": (Severity.WARNING, _DELETE),
    # Metadata.
    "metadata-missing": (Severity.ERROR, _SALVAGE),
    "metadata-unreadable": (Severity.ERROR, ""),
    "metadata-incomplete": (Severity.WARNING, ""),
    "totals": (Severity.ERROR, "/commit is the truth; recording another episode with mode='a' renews them."),
    "space-unreadable": (Severity.ERROR, ""),
    "env-spec": (Severity.WARNING, "Make the environment by hand to replay it."),
    # Structure.
    "schema": (Severity.ERROR, ""),
    "commit": (Severity.ERROR, _SALVAGE),
    "column-missing": (Severity.ERROR, _SALVAGE),
    "column-type": (Severity.ERROR, _SALVAGE),
    "column-short": (Severity.ERROR, _SALVAGE),
    "column-unreadable": (Severity.ERROR, _SALVAGE),
    "frames-link": (Severity.ERROR, _SALVAGE),
    "episode-span": (Severity.ERROR, _SALVAGE),
    "rows-left-over": (Severity.WARNING, "They belong to no episode; everything before them is good."),
    # Contents: how values are stored.
    "chunk-unreadable": (Severity.ERROR, _SALVAGE),
    "ragged": (Severity.ERROR, _SALVAGE),
    "type-code": (Severity.ERROR, _SALVAGE),
    "undecodable": (Severity.ERROR, _SALVAGE),
    "padding": (Severity.ERROR, _SALVAGE),
    "checksum": (Severity.ERROR, _COPY),
    # Contents: episodes and the rows they are made of.
    "dones": (Severity.ERROR, _SALVAGE),
    "done-early": (Severity.ERROR, _SALVAGE),
    "episode-flags": (Severity.ERROR, _SALVAGE),
    "episode-return": (Severity.ERROR, _SALVAGE),
    "episode-seed": (Severity.ERROR, _SALVAGE),
    "episode-id": (Severity.ERROR, _SALVAGE),
    "episode-origin": (Severity.ERROR, _SALVAGE),
    "episode-json": (Severity.ERROR, _SALVAGE),
    # Contents: what the environment gave and took.
    "not-finite": (Severity.WARNING, ""),
    "out-of-space": (Severity.WARNING, ""),
}
"""By code: severity and remedy. FILE is the recording, NEW a file to make."""


def make_problem(code: str, place: str, message: str) -> Problem:
    """A problem of a kind in the catalogue."""
    severity, remedy = CATALOGUE[code]
    return Problem(severity, code, place, message, remedy)


def quote(value: object) -> str:
    """Something from the file, for a message; no more than the beginning of it.

    Example:
        >>> quote("a" * 1000)[-5:]
        'aa...'
    """
    return _shortened(repr(value[:_QUOTED_CHARACTERS] if isinstance(value, str) else value), _QUOTED_CHARACTERS)


def reason(error: BaseException, path: Path) -> str:
    """What an error says about a recording, for a message."""
    text = str(error).removeprefix(f"{path}: ")
    text = f"it{text.removeprefix(str(path))}" if text.startswith(f"{path} ") else text
    return _shortened(text or type(error).__name__, _REASON_CHARACTERS)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."
