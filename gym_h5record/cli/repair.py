"""``gym-h5record repair``: complete a recording whose recorder died, or save what is left of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from gym_h5record import Amount, RepairReport
from gym_h5record import repair as repair_recording
from gym_h5record.cli.exits import Problem
from gym_h5record.cli.output import print_json, size_text
from gym_h5record.printable import printable

__all__ = ["repair"]


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--salvage",
    type=click.Path(path_type=Path),
    metavar="NEW",
    help="If the file is beyond repair, copy every readable row into this new file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def repair(*, path: Path, dry_run: bool, salvage: Path | None, as_json: bool) -> None:
    """Complete the recording PATH, whose recorder died.

    Every step that had returned is in the file afterwards. A recording that is
    complete, or damaged beyond repair, is left as it is; the exit code is then 0,
    or 1 unless its rows could be salvaged.
    """
    report = repair_recording(path, dry_run=dry_run, salvage=salvage)
    if as_json:
        print_json({**asdict(report), "ok": report.ok, "dry_run": dry_run})
    else:
        for line in _lines(report, path, dry_run=dry_run):
            click.echo(printable(line))
    if not report.ok and report.salvaged is None:
        if as_json:
            click.get_current_context().exit(1)
        raise Problem(f"{path} cannot be repaired, and has been left as it is: {report.problem}")


def _lines(report: RepairReport, path: Path, *, dry_run: bool) -> list[str]:
    lines = [f"{path} was {report.found}"]
    would = "would " if dry_run else ""
    lines += [f"  {would}{action}" for action in report.actions]
    if report.found == "interrupted":
        lines.append(f"  recovered: {_amount(report.recovered)}")
    if report.lost != Amount():
        lines.append(f"  lost: {_amount(report.lost)}")
    if report.ok:
        now = "would have" if dry_run else "has"
        lines.append(f"it {now} {report.num_steps:,} steps in {report.num_episodes:,} episodes")
    else:
        lines.append(f"  readable: {_amount(report.readable)}")
        if report.salvaged is None:
            lines.append(f"  copy them into a new file: gym-h5record repair {path} --salvage NEW.h5")
    return lines


def _amount(amount: Amount) -> str:
    return f"{amount.rows:,} rows, {amount.episodes:,} episodes, {size_text(amount.bytes)}"
