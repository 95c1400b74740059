"""Prints the report of ``gym_h5record.evaluate`` as tables, or turns it into JSON. It computes nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import click
from rich.table import Table

from gym_h5record.cli.output import plain_table, safe, show
from gym_h5record.display import printable
from gym_h5record.replay.evaluation.reports import (
    ActionError,
    Agreement,
    Confusion,
    EpisodeEvaluation,
    EvaluationReport,
)

__all__ = ["report_json", "show_report"]

_MAX_ACTIONS = 18  # of a confusion matrix that is shown; an Atari controller has 18
_MAX_DIMENSIONS = 32
_ERRORS = ("mean error", "root mean square", "largest")


def show_report(report: EvaluationReport) -> None:
    """Print a table of the episodes, then one of all episodes together."""
    if report.agreement is None:  # in a closed loop
        _show_returns(report)
    else:
        _show_agreement(report, report.agreement)


def report_json(report: EvaluationReport) -> dict[str, Any]:
    """All fields of a report, and the properties that are computed from them."""
    content = {**dataclasses.asdict(report), "path": str(report.path)}
    content |= {"ok": report.ok, "num_episodes": report.num_episodes, "num_steps": report.num_steps}
    content |= {"incomplete": report.incomplete, "unpaired": report.unpaired}
    content["agreement"] = _agreement_json(report.agreement)
    content["episodes"] = [
        {
            **dataclasses.asdict(each),
            "agreement": _agreement_json(each.agreement),
            "paired": each.is_paired,
            "difference": each.difference,
        }
        for each in report.episodes
    ]
    return content


def _agreement_json(agreement: Agreement | None) -> dict[str, Any] | None:
    if agreement is None:
        return None
    content = {**dataclasses.asdict(agreement), "rate": agreement.rate}
    if agreement.confusion is not None:
        content["confusion"]["scores"] = [
            {**dataclasses.asdict(each), "recall": each.recall, "precision": each.precision}
            for each in agreement.confusion.scores
        ]
    return content


# Open loop: the policy's actions beside the recorded ones --------------------------------------------


def _show_agreement(report: EvaluationReport, overall: Agreement) -> None:
    errors = () if overall.error is None else _ERRORS
    table = _table(["episode", "steps", "agree", *errors, ""])
    for each in report.episodes:
        if each.agreement is not None:
            _add(table, each.episode, *_agreement_cells(each.agreement, len(errors)), _recorded_end(each))
    _add(table, "all", *_agreement_cells(overall, len(errors)), "")
    show(table)
    if overall.confusion is not None and overall.confusion.actions:
        click.echo()
        _show_confusion(overall.confusion)
    if overall.error is not None and len(overall.error.dimensions) > 1:
        click.echo()
        _show_dimensions(overall.error)
    click.echo()
    misfits = f"; {overall.misfits:,} not of the form of the action space" if overall.misfits else ""
    agree = f"{overall.equal:,} of {overall.num_steps:,} actions agree ({_share(overall.rate)})"
    click.echo(f"{printable(report.path)}: {agree}{misfits}")


def _agreement_cells(agreement: Agreement, num_errors: int) -> list[str]:
    errors = [""] * num_errors if agreement.error is None else _error_cells(agreement.error)
    return [f"{agreement.num_steps:,}", _share(agreement.rate), *errors]


def _show_confusion(confusion: Confusion) -> None:
    """Recall and precision of each action, beside the confusion matrix if it has at most 18 columns."""
    is_small = len(confusion.actions) <= _MAX_ACTIONS
    click.echo("recorded actions in rows, the policy's in columns" if is_small else "recorded actions")
    columns = [str(action) for action in confusion.actions] if is_small else ["recorded", "chosen", "equal"]
    table = _table(["action", *columns, "recall", "precision"])
    for score, row in zip(confusion.scores, confusion.counts, strict=True):
        if is_small or score.recorded:
            cells = row if is_small else (score.recorded, score.chosen, score.equal)
            _add(table, score.action, *cells, _share(score.recall), _share(score.precision))
    show(table, whole=True)


def _show_dimensions(error: ActionError) -> None:
    table = _table(["dimension", *_ERRORS])
    for number, each in enumerate(error.dimensions[:_MAX_DIMENSIONS]):
        _add(table, number, *_error_cells(each))
    show(table)
    hidden = len(error.dimensions) - _MAX_DIMENSIONS
    if hidden > 0:
        click.echo(f"... {hidden:,} more; --json has them all")


def _error_cells(error: ActionError) -> list[str]:
    return [f"{each:.4g}" for each in (error.mean_absolute, error.root_mean_square, error.maximum)]


# Closed loop: the policy acts in the environment -----------------------------------------------------


def _show_returns(report: EvaluationReport) -> None:
    table = _table(["episode", "steps", "recorded", "live steps", "live", "difference", ""])
    for each in report.episodes:
        live = ["", ""] if each.live is None else [f"{each.live.num_steps:,}", f"{each.live.total_reward:g}"]
        difference = "" if each.difference is None else f"{each.difference:+g}"
        recorded = [f"{each.num_steps:,}", f"{each.total_reward:g}"]
        _add(table, each.episode, *recorded, *live, difference, _why_unpaired(each))
    show(table)
    click.echo()
    means = (("recorded", report.recorded_return), ("live", report.live_return), ("difference", report.difference))
    table = _table(["return", "mean", "95 % interval"])
    for name, interval in means:
        if interval is not None:
            spread = "none of one episode" if interval.low is None else f"{interval.low:g} to {interval.high:g}"
            _add(table, name, f"{interval.mean:g}", spread)
    if table.row_count:
        show(table)
        click.echo()
    compared = len(report.episodes) - len(report.unpaired)
    left_out = f"; {len(report.unpaired):,} left out" if report.unpaired else ""
    click.echo(f"{printable(report.path)}: returns of {compared:,} episodes compared{left_out}")


def _why_unpaired(episode: EpisodeEvaluation) -> str:
    if episode.reason:
        return episode.reason
    cut = "cut by --max-steps" if episode.live is not None and not episode.live.complete else ""
    return ", ".join(filter(None, (_recorded_end(episode), cut)))


# Tables -----------------------------------------------------------------------------------------------


def _recorded_end(episode: EpisodeEvaluation) -> str:
    return "" if episode.complete else "incomplete"


def _share(rate: float | None) -> str:
    """A share in percent; only a share of exactly 1 is shown as 100 %.

    Example:
        >>> _share(0.99996), _share(1.0), _share(None)
        ('99.9 %', '100.0 %', '-')
    """
    if rate is None:
        return "-"
    return f"{100.0 if rate == 1 else min(round(100 * rate, 1), 99.9):.1f} %"


def _table(names: Iterable[str]) -> Table:
    """A table of numbers, right-aligned; a column without a name is for words."""
    table = plain_table()
    for name in names:
        table.add_column(name, justify="right" if name else "left", overflow="ellipsis" if name else "fold")
    return table


def _add(table: Table, *cells: object) -> None:
    table.add_row(*(safe(cell) for cell in cells))
