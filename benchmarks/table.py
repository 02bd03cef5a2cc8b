"""The table of docs/benchmarks.md: rows of benchmarks that ran are replaced, the others stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.figures import Figure

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures: written by `python -m benchmarks` -->", "<!-- end of figures -->"
HEAD = "| benchmark | figure | measured | goal | times the goal | remark | when and where |"
RULE = "|---|---|---|---|---|---|---|"


def number(value: float) -> str:
    """A number with three or more significant digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def row(name: str, figure: Figure, where: str) -> str:
    """One line of the table."""
    goal, times = "", ""
    if figure.goal is not None and figure.ratio is not None:
        goal = f"{'at most' if figure.is_ceiling else 'at least'} {number(figure.goal)}"
        times = f"{figure.ratio:.2f}{'' if figure.ratio >= 1 else ' (missed)'}"
    measured = f"{number(figure.value)} {figure.unit}"
    return f"| {name} | {figure.name} | {measured} | {goal} | {times} | {figure.note} | {where} |"


def updated(text: str, results: Mapping[str, Sequence[Figure]], order: Sequence[str], where: str) -> str:
    """The document with new rows. Errors: ValueError where the document has no place for them."""
    if BEGIN not in text or END not in text:
        raise ValueError(f"{DOCUMENT.name} has no lines {BEGIN!r} and {END!r}.")
    before, rest = text.split(BEGIN)
    inside, after = rest.split(END)
    kept: dict[str, list[str]] = {}
    for line in inside.strip().splitlines()[2:]:
        kept.setdefault(line.split("|")[1].strip(), []).append(line)
    kept |= {name: [row(name, figure, where) for figure in figures] for name, figures in results.items()}
    lines = [line for name in order for line in kept.get(name, [])]
    return "\n".join([f"{before}{BEGIN}", HEAD, RULE, *lines, f"{END}{after}"])


def update(results: Mapping[str, Sequence[Figure]], order: Sequence[str], where: str) -> None:
    """Write the document anew."""
    DOCUMENT.write_text(updated(DOCUMENT.read_text(), results, order, where))
