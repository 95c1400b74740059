"""Runs the inspection in a process of its own, because a damaged file may crash HDF5 or make it hang.

The process reads requests and writes findings, each as a line of JSON.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from .findings import Finding
from .inspection import inspect

__all__ = ["Inspector", "main"]

_TIMEOUT_S = 15.0
_STEPS_PER_S = 2000  # steps that a slow machine compares


class Inspector:
    """Asks the process, and starts a new one when it does not answer. A context manager.

    Args:
        timeout_s: How long to wait for an answer; 1 s is added for every ``_STEPS_PER_S`` acknowledged steps.
    """

    def __init__(self, timeout_s: float = _TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._process = self._start()

    def inspect(self, path: Path, env: str, acknowledged: list[int], least: list[int] | None = None) -> Finding:
        """``inspection.inspect`` in the process; if the process crashes or hangs, the finding says so."""
        request = json.dumps([str(path), env, acknowledged, least])
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{request}\n")
        self._process.stdin.flush()
        answered = bool(
            select.select([self._process.stdout], [], [], self._timeout_s + sum(acknowledged) / _STEPS_PER_S)[0]
        )
        line = self._process.stdout.readline() if answered else ""
        if line:
            return Finding(**json.loads(line))
        self._end()
        problem = f"inspecting it ended with code {self._process.returncode}" if answered else "inspecting it hangs"
        self._process = self._start()
        return Finding(found=[0] * len(acknowledged), problems=[problem])

    def __enter__(self) -> Inspector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "crash.inspector"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()


def main() -> int:
    """Answer requests until standard input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print: their text must not mix with the answers
    for line in sys.stdin:
        path, env, acknowledged, least = json.loads(line)
        finding = inspect(Path(path), env, acknowledged, least)
        print(json.dumps(finding.as_dict()), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
