"""``gym-h5record repair``: complete an interrupted recording, or copy the readable rows of a damaged one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from shlex import quote

import click

import gym_h5record as h5r
from gym_h5record.cli.interrupts import Interrupts
from gym_h5record.cli.output import name_table, print_json, show, size_text
from gym_h5record.cli.parameters import GivenPath
from gym_h5record.cli.program import EXIT_PROBLEM
from gym_h5record.cli.progress import row_progress
from gym_h5record.display import counted, printable
from gym_h5record.maintenance.repairs.repairing import RowCount

__all__ = ["repair_command"]

_FOUND = {
    "closed": "closed: nothing to repair",
    "interrupted": "left by a recorder that died",
    "damaged": "damaged beyond repair",
}
_JSON_NAMES = {"num_steps": "steps", "num_episodes": "episodes"}


@click.command("repair")
@click.argument("path", type=GivenPath())
@click.option("--dry-run", is_flag=True, help="Change nothing; say what would be done.")
@click.option(
    "--salvage",
    type=GivenPath(),
    metavar="NEW",
    help="Read every row. If rows are damaged, copy all readable rows into the new file NEW.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and no progress.")
@click.pass_context
def repair_command(ctx: click.Context, *, path: Path, dry_run: bool, salvage: Path | None, as_json: bool) -> None:
    """Complete the recording PATH after its recorder was killed.

    Afterwards the file has every step that had returned. A closed recording is not
    changed. A recording damaged beyond repair is not changed either: the problem is
    shown, and --salvage copies the readable rows.

    The exit code is 0 if the recording is complete now, or if --salvage has copied
    everything readable; the output says what is not in the copy. It is 1 if the
    recording is damaged beyond repair, or still being recorded. --dry-run has the
    exit code that the repair would have. Ctrl-C ends --salvage and removes NEW.

    \b
    Examples:
      gym-h5record repair run.h5 --dry-run
      gym-h5record repair run.h5 --salvage saved.h5
    """  # noqa: D301  # click's mark for a paragraph that is not wrapped
    with Interrupts() as interrupts, row_progress(path.name, is_shown=not as_json) as show_progress:

        def on_progress(done: int, rows: int) -> None:
            if interrupts.requested:  # the first Ctrl-C ends the reading between two rows
                raise KeyboardInterrupt
            if show_progress is not None:
                show_progress(done, rows)

        report = h5r.repair(path, dry_run=dry_run, salvage=salvage, on_progress=on_progress)
    if as_json:
        facts = {_JSON_NAMES.get(name, name): each for name, each in asdict(report).items()}
        print_json({"path": str(path), "dry_run": dry_run, "ok": report.ok, **facts})
    else:
        _show(path, report, dry_run=dry_run, wants_salvage=salvage is not None)
    is_saved = salvage is not None and report.readable.rows > 0
    if not report.ok and not is_saved:
        ctx.exit(EXIT_PROBLEM)


def _show(path: Path, report: h5r.RepairReport, *, dry_run: bool, wants_salvage: bool) -> None:
    """Print what was found, what was done, and what the recording holds now."""
    is_damaged = not report.ok
    has_recovered = report.found == "interrupted" or report.recovered != RowCount()
    doing, has = ("would do", "would have") if dry_run else ("done", "has now")
    actions = report.actions or (("nothing",) if is_damaged else ())
    steps, episodes = counted(report.num_steps, "step"), counted(report.num_episodes, "episode")
    lost = _amount(report.lost)
    if report.without_journal and report.lost == RowCount():
        lost = "rows that only the journal had, if there was one"
    rows = [
        ("file", path),
        ("found", _FOUND[report.found]),
        ("problem", report.problem or None),
        *(("" if number else doing, action) for number, action in enumerate(actions)),
        ("claims" if is_damaged else has, f"{steps} in {episodes}"),
        ("recovered", _amount(report.recovered) if has_recovered else None),
        ("readable", _amount(report.readable) if is_damaged else None),
        ("lost", lost if is_damaged or has_recovered else None),
    ]
    show(name_table(rows))
    if is_damaged:
        click.echo()
        click.echo(_advice(path, report, dry_run=dry_run, wants_salvage=wants_salvage))


def _advice(path: Path, report: h5r.RepairReport, *, dry_run: bool, wants_salvage: bool) -> str:
    if not report.readable.rows:
        return "Nothing of it can be read. Do you have a copy?"
    if report.salvaged is not None:
        lost = "Nothing is lost." if report.lost == RowCount() else f"NOT in it: {_amount(report.lost)}."
        return f"Saved in {printable(report.salvaged)}. {lost}"
    if wants_salvage and dry_run:
        return "Without --dry-run, the readable rows are copied."
    command = f"gym-h5record repair {printable(quote(str(path)))} --salvage NEW.h5"
    return f"It has not been changed. Save the readable rows: {command}"


def _amount(amount: RowCount) -> str:
    if amount == RowCount():
        return "nothing"
    text = f"{counted(amount.rows, 'row')}, {counted(amount.episodes, 'episode')}"
    return f"{text}, {size_text(amount.bytes)}" if amount.bytes else text
