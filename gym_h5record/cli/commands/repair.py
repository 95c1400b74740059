"""``gym-h5record repair``: complete what a dead recorder left, or save what can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from shlex import quote

import click

import gym_h5record as h5r
from gym_h5record.cli.interrupts import Interrupts
from gym_h5record.cli.output import name_table, print_json, show, size_text
from gym_h5record.cli.program import PROBLEM
from gym_h5record.cli.progress import row_progress
from gym_h5record.display import printable
from gym_h5record.maintenance.repairs.repairing import Amount

__all__ = ["repair"]


_FOUND = {
    "closed": "closed: nothing to repair",
    "interrupted": "left by a recorder that died",
    "damaged": "damaged beyond repair",
}

OnProgress = Callable[[int, int], None]


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--salvage",
    type=click.Path(path_type=Path),
    metavar="NEW",
    help="Read every row; if any is damaged, copy all that can be read into the new file NEW.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and no progress.")
@click.pass_context
def repair(ctx: click.Context, *, path: Path, dry_run: bool, salvage: Path | None, as_json: bool) -> None:
    """Complete the recording PATH, whose recorder was killed.

    Every step that had returned is in the file afterwards. A recording that was
    closed is left as it is. So is one that is damaged beyond repair: what is wrong
    with it is said, and --salvage copies what can be read.

    The exit code is 0 if the recording is whole now, or if --salvage has made a file
    with everything that can be read; then it is said what is not in it. It is 1 if
    the recording is damaged beyond repair, or still being recorded. After --dry-run
    it is what it would be. Ctrl-C ends a salvage, and leaves nothing of NEW.

    \b
    Examples:
      gym-h5record repair run.h5 --dry-run
      gym-h5record repair run.h5 --salvage saved.h5
    """  # noqa: D301  # click's mark for a paragraph that is not wrapped
    with Interrupts() as interrupts, _progress(path, interrupts, is_shown=not as_json) as on_progress:
        report = h5r.repair(path, dry_run=dry_run, salvage=salvage, on_progress=on_progress)
    if as_json:
        print_json({"path": str(path), "dry_run": dry_run, **_facts(report)})
    else:
        _show(path, report, dry_run=dry_run, wants_salvage=salvage is not None)
    is_saved = salvage is not None and report.readable.rows > 0
    if not report.ok and not is_saved:
        ctx.exit(PROBLEM)


def _facts(report: h5r.RepairReport) -> dict[str, object]:
    names = {"num_steps": "steps", "num_episodes": "episodes"}
    return {"ok": report.ok, **{names.get(name, name): each for name, each in asdict(report).items()}}


def _show(path: Path, report: h5r.RepairReport, *, dry_run: bool, wants_salvage: bool) -> None:
    """What was found, what was done, and how it is now."""
    is_damaged = not report.ok
    has_recovered = report.found == "interrupted" or report.recovered != Amount()
    now = "would have" if dry_run else "has now"
    actions = report.actions or (("nothing",) if is_damaged else ())
    doing = ("would do" if dry_run else "done", *[""] * len(actions))
    show(
        name_table(
            [
                ("file", path),
                ("found", _FOUND[report.found]),
                ("problem", report.problem or None),
                *zip(doing, actions, strict=False),
                ("claims" if is_damaged else now, f"{_counted(report.num_steps, 'step')} in {_episodes(report)}"),
                ("recovered", _amount(report.recovered) if has_recovered else None),
                ("readable", _amount(report.readable) if is_damaged else None),
                ("lost", _lost(report) if is_damaged or has_recovered else None),
            ]
        )
    )
    if is_damaged:
        click.echo()
        click.echo(_advice(path, report, dry_run=dry_run, wants_salvage=wants_salvage))


def _advice(path: Path, report: h5r.RepairReport, *, dry_run: bool, wants_salvage: bool) -> str:
    if not report.readable.rows:
        return "Nothing of it can be read. Is there a copy of it?"
    if report.salvaged is None:
        command = f"gym-h5record repair {printable(quote(str(path)))} --salvage NEW.h5"
        if wants_salvage and dry_run:
            return "Without --dry-run, what is readable is copied."
        return f"It has not been changed. Save what is readable: {command}"
    lost = "Nothing is lost." if report.lost == Amount() else f"NOT in it: {_amount(report.lost)}."
    return f"Saved in {printable(report.salvaged)}. {lost}"


def _lost(report: h5r.RepairReport) -> str:
    if report.without_journal and report.lost == Amount():
        return "what only the journal had, if there was one"
    return _amount(report.lost)


def _amount(amount: Amount) -> str:
    if amount == Amount():
        return "nothing"
    text = f"{_counted(amount.rows, 'row')}, {_counted(amount.episodes, 'episode')}"
    return f"{text}, {size_text(amount.bytes)}" if amount.bytes else text


def _episodes(report: h5r.RepairReport) -> str:
    return _counted(report.num_episodes, "episode")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


@contextmanager
def _progress(path: Path, interrupts: Interrupts, *, is_shown: bool) -> Iterator[OnProgress]:
    """What is called between two rows: there, an interrupt is obeyed; a terminal is shown a bar."""
    with row_progress(path.name, is_shown=is_shown) as show_progress:

        def on_progress(done: int, rows: int) -> None:
            if interrupts.requested:
                raise KeyboardInterrupt
            if show_progress is not None:
                show_progress(done, rows)

        yield on_progress
