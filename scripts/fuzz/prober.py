"""Asks a worker to run entries, and notices when it crashes or hangs."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from .entries import ENTRIES
from .harvest import POISON
from .sites import Site
from .worker import CPU_S, Outcome

__all__ = ["Prober"]

_TIMEOUT_S = 60.0  # wall time: long, because a busy machine makes the worker wait; ``CPU_S`` limits its CPU time
_XCPU = -24


class Prober:
    """Asks the worker, and starts a new one when it does not answer. A context manager.

    Args:
        env: Environment variables for the worker, beside those of this process.
    """

    def __init__(self, env: dict[str, str] | None = None) -> None:
        self._env = dict(env or {})
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # ``__exit__`` closes it
        self._process = self._start()

    def probe(self, name: str, site: Site) -> Outcome:
        """Run an entry on a site's recording, and restore the site."""
        if ENTRIES[name].writes and os.path.realpath(site.path).startswith(("/dev/", "/proc/")):
            return Outcome("refused", "not tried: it would write to a device of this machine")
        # A recorder with the path of a link writes to the link's target.
        is_link = name in ("append", "append lanes", "overwrite") and site.path.is_symlink()
        target = Path(os.path.realpath(site.path)).name if is_link else None
        outcome = self._ask(name, site)
        changed, outside = site.changes(), [each for each in site.changes_outside() if each != target]
        allowed = [each for each in changed if ENTRIES[name].writes and each.startswith(site.path.name)]
        if outcome.is_allowed and (outside or changed != allowed):
            outcome.kind, outcome.detail = "touched", f"changed: {outside or changed}"
        site.restore()
        return outcome

    def __enter__(self) -> Prober:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._stderr.close()

    def _ask(self, name: str, site: Site) -> Outcome:
        request = {
            "entry": name,
            "path": str(site.path),
            "scratch": str(site.scratch),
            "secret": site.secret.hex(),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(request)}\n")
        self._process.stdin.flush()
        answered = bool(select.select([self._process.stdout], [], [], _TIMEOUT_S)[0])
        line = self._process.stdout.readline() if answered else ""
        if line:
            return Outcome(**json.loads(line))
        self._end()
        code = self._process.returncode
        complaint = self._complaint()
        self._process = self._start()
        if not answered or code == _XCPU:
            return Outcome("hang", f"no answer within {CPU_S if answered else _TIMEOUT_S} s")
        return Outcome("crash", f"exit code {code}: {complaint}")

    def _complaint(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")[-1000:]

    def _start(self) -> subprocess.Popen[str]:
        self._stderr.seek(0)
        self._stderr.truncate()
        root = Path(__file__).parents[2]
        settings = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_PERTURB_": str(POISON), "PYTHONPATH": str(root)}
        settings |= {"COLUMNS": "100", "NO_COLOR": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", "scripts.fuzz.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            cwd=root,
            env={**os.environ, **settings, **self._env},
        )

    def _end(self) -> None:
        self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait()
