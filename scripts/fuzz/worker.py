"""A process of limited memory and time that runs entries: a hostile file may crash it, or make it hang.

It reads requests and writes outcomes, each as a line of JSON.
"""

from __future__ import annotations

import faulthandler
import json
import resource
import sys
import time
import traceback
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gym_h5record.errors import RecordingError
from gym_h5record.storage import column_reader

from .entries import ENTRIES
from .harvest import Harvest, Violation, check_imports, check_memory
from .subjects import modest_journals

__all__ = ["Outcome", "main"]

MEMORY_BYTES = 2 << 30
"""The memory that a file may make the process take. The limits of chunks and texts are far below."""

CPU_S = 10
"""The CPU time that a file may take."""

_MAX_FILE_BYTES = 8 << 30
_PAUSES_S = (0.001, 0.001)


@dataclass
class Outcome:
    """The outcome of an entry.

    Attributes:
        kind: ``"done"`` or ``"refused"``. All others must not be: ``"crash"``, ``"hang"``, the name of an
            exception, or the kind of a ``Violation``.
        detail: The message of the error.
        refused: The errors, by the name of the value that could not be read.
        digest: A hash of the rows: equal for equal rows.
        taken: How many values were read.
        seconds: How long the entry took.
        growth_bytes: How much memory it took.
    """

    kind: str
    detail: str = ""
    refused: dict[str, str] = field(default_factory=dict)
    digest: str = ""
    taken: int = 0
    seconds: float = 0.0
    growth_bytes: int = 0

    @property
    def is_allowed(self) -> bool:
        """Whether a file may have this outcome."""
        return self.kind in ("done", "refused")


def try_entry(name: str, path: Path, scratch: Path, secret: bytes) -> Outcome:
    """Run an entry; an exception becomes an outcome."""
    harvest = Harvest(secret)
    kind, detail = "done", ""
    started_s, before_bytes = time.monotonic(), _reset_peak()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            _run(name, path, harvest, scratch)
        harvest.search()
        for each in caught:
            harvest.show(str(each.message).replace("\x1b[33m", "").replace("\x1b[0m", ""))  # Gymnasium's own colours
        check_imports()
    except Violation as violation:
        kind, detail = violation.kind, str(violation)
    except Exception as error:  # noqa: BLE001  # any error that is not the package's own is a finding
        kind, detail = type(error).__name__, "".join(traceback.format_exception(error)[-4:])[-1500:]
    growth_bytes = _peak_bytes() - before_bytes
    if growth_bytes > MEMORY_BYTES // 2:
        kind, detail = "memory", f"{growth_bytes >> 20} MiB. {detail}"
    if kind == "done" and harvest.refused:
        kind, detail = "refused", next(iter(harvest.refused.values()))
    seconds = time.monotonic() - started_s
    return Outcome(kind, detail, harvest.refused, harvest.digest, harvest.taken, seconds, growth_bytes)


def _run(name: str, path: Path, harvest: Harvest, scratch: Path) -> None:
    try:
        ENTRIES[name].run(path, harvest, scratch)
    except RecordingError as error:
        harvest.refuse("all", error)
    except Violation:
        raise
    except Exception as error:
        check_memory(error)
        raise


def _reset_peak() -> int:
    Path("/proc/self/clear_refs").write_text("5")
    return _status_bytes("VmRSS")


def _peak_bytes() -> int:
    return _status_bytes("VmHWM")


def _status_bytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise LookupError(name)


def _confine() -> None:
    limit = _status_bytes("VmSize") + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_FILE_BYTES, _MAX_FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _allow_cpu() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + CPU_S + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def main() -> int:
    """Answer requests until standard input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print: their text must not mix with the answers
    faulthandler.enable()
    modest_journals()
    column_reader._PAUSES_S = _PAUSES_S  # noqa: SLF001  # no writer will complete a damaged chunk: do not wait for one
    _confine()
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        _allow_cpu()
        outcome = try_entry(
            request["entry"], Path(request["path"]), Path(request["scratch"]), bytes.fromhex(request["secret"])
        )
        print(json.dumps(asdict(outcome)), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
