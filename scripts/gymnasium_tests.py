"""Does a recorder change anything for Gymnasium's own tests? Runs them with recorded environments, and counts.

    python scripts/gymnasium_tests.py ~/Gymnasium                        # 15 minutes on 2 cores
    python scripts/gymnasium_tests.py ~/Gymnasium tests/utils --way base
    python scripts/gymnasium_tests.py ~/Gymnasium --baseline             # every test also without the recorder
    python scripts/gymnasium_tests.py ~/Gymnasium --way vector-top       # 15 minutes on 2 cores
    python scripts/gymnasium_tests.py ~/Gymnasium --way vector-base

The first argument is a checkout of Gymnasium; the tests import its ``gymnasium``. ``gymnasium.make`` and the
``GenericTestEnv`` of the tests give environments that are recorded, each into a new file: with ``--way top`` the
recorder is the outermost wrapper of what ``make`` returns, with ``--way base`` it is below all wrappers. Afterwards
every file is opened and validated.

``--way vector-top`` and ``--way vector-base`` record vector environments instead, with a lane for each environment, and
run the tests of vector environments and their wrappers. ``gymnasium.make_vec`` and all classes of vector environments
give recorded ones: the recorder is above the vector wrappers that a test makes, or below them. It passes attributes on
to the wrapper that it hides, because tests ask for them.

The exit code is 1 if a test fails that passes without the recorder, or if a file has a problem. A few tests inspect
wrappers, and must fail with any; ``gymnasium_suite/tables.py`` names each with the reason. It also names the tests that
are left out: they need OpenGL. The tests need what the extras ``testing`` and ``all`` of Gymnasium install; those that
lack something skip, or fail with and without the recorder, which does not count.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gymnasium_suite.recordings import Findings, check
from gymnasium_suite.suite import WAYS, Checkout, Outcomes, run
from gymnasium_suite.tables import EXPECTED_FAILURES, LEFT_OUT, reason

PARTS = ("tests/wrappers", "tests/test_core.py", "tests/utils", "tests/envs")
VECTOR_PARTS = ("tests/wrappers/vector", "tests/vector", "tests/envs/registration/test_make_vec.py")


@dataclass
class Part:
    """The runs of one part of the tests.

    Attributes:
        name: Its path.
        recorded: Outcomes with the recorder.
        bare: Outcomes without it: of all tests, or of those that failed with it.
        findings: What is in the files.
    """

    name: str
    recorded: Outcomes
    bare: Outcomes
    findings: Findings

    def new_failures(self) -> list[str]:
        """The tests that fail because of the recorder, and are not expected to."""
        return sorted(
            test for test in self.recorded.failed - self.bare.failed if reason(EXPECTED_FAILURES, test) is None
        )


def main() -> int:
    """Run the parts one after the other, and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="folder of a checkout of Gymnasium")
    parser.add_argument("tests", nargs="*", metavar="TESTS", help="paths in it")
    parser.add_argument("--way", choices=WAYS, default="top", help="where the recorder is put")
    parser.add_argument("--writer", choices=("inline", "process"), default="inline", help="the recorder's option")
    parser.add_argument("--baseline", action="store_true", help="also run every test without the recorder")
    parser.add_argument("--timeout", type=float, default=3600, metavar="S", help="seconds that a part may take")
    options = parser.parse_args()
    checkout = Checkout(options.checkout.resolve(), options.timeout)
    parts = []
    for name in options.tests or (VECTOR_PARTS if options.way.startswith("vector") else PARTS):
        with tempfile.TemporaryDirectory() as folder:
            parts.append(run_part(checkout, name, Path(folder), options))
        print_part(parts[-1])
    print_expected([test for part in parts for test in part.recorded.failed])
    is_bad = any(part.new_failures() or part.findings.problems or part.recorded.ended for part in parts)
    return 1 if is_bad else 0


def run_part(checkout: Checkout, name: str, folder: Path, options: argparse.Namespace) -> Part:
    """Run one part with the recorder; without it too, or at least the functions of the tests that failed with it."""
    for each in ("recorded", "bare"):
        (folder / each).mkdir()
    recorded = run(checkout, [name], folder / "recorded", way=options.way, writer=options.writer)
    unexpected = {test for test in recorded.failed if reason(EXPECTED_FAILURES, test) is None}
    again = [name] if options.baseline else sorted({test.partition("[")[0] for test in unexpected})
    bare = run(checkout, again, folder / "bare", way=None) if again else Outcomes()
    return Part(name, recorded, bare, check(folder / "recorded" / "recordings"))


def print_part(part: Part) -> None:
    """Print the figures of a part, and what is wrong."""
    found = part.findings
    for label, outcomes in (("without recorder", part.bare), ("recorded", part.recorded)):
        if outcomes.of:
            count = outcomes.count()
            figures = ", ".join(f"{count[each]} {each}" for each in ("passed", "failed", "skipped", "left out"))
            print(f"{part.name}, {label}: {figures}")
        if outcomes.ended is not None:
            print(f"{part.name}, {label}: NOT ALL TESTS RAN, {outcomes.ended}")
    print(f"{part.name}: {found.files} files ({found.interrupted} interrupted, and repaired), ", end="")
    print(f"{found.episodes} episodes, {found.steps} steps", flush=True)
    for test in part.new_failures():
        print(f"\nNEW FAILURE {test}\n{part.recorded.texts[test][-2000:]}")
    for problem in found.problems:
        print(f"BAD FILE {problem}")


def print_expected(failed: list[str]) -> None:
    """Print the failures that are in the table, and the tests that were left out."""
    for title, table, tests in (
        ("Expected failures", EXPECTED_FAILURES, failed),
        ("Left out", LEFT_OUT, list(LEFT_OUT)),
    ):
        why = {test: table.get(test) or reason(table, test) for test in sorted(tests)}
        for each in dict.fromkeys(filter(None, why.values())):
            print(f"\n{title}: {each}")
            print("\n".join(f"    {test}" for test in why if why[test] == each))


if __name__ == "__main__":
    sys.exit(main())
