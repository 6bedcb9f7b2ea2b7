"""What a benchmark gives: figures, each the median of its rounds beside the goal it is held against."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

__all__ = ["Figure", "as_json", "as_table", "ratio_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measure, taken once a round."""

    name: str
    unit: str
    rounds: tuple[float, ...]
    goal: float | None = None
    better: Literal["more", "less"] = "more"

    @property
    def median(self) -> float:
        """The figure that counts."""
        return median(self.rounds)

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without a goal."""
        if self.goal is None:
            return None
        return self.median >= self.goal if self.better == "more" else self.median <= self.goal


def ratio_of(name: str, ours: Figure, bare: Figure, goal: float | None = None) -> Figure:
    """Ours over bare, round by round, so that both sides of a ratio saw the same weather."""
    rounds = tuple(mine / theirs for mine, theirs in zip(ours.rounds, bare.rounds, strict=True))
    return Figure(name=name, unit="", rounds=rounds, goal=goal)


def as_json(figure: Figure) -> dict[str, Any]:
    """All that is known about a figure."""
    return {**asdict(figure), "median": figure.median, "met": figure.met}


def as_table(figures: Sequence[Figure], *, heading: bool = True) -> str:
    """A Markdown table, or without `heading` more rows of one."""
    lines = ["| measure | median | goal | rounds |", "| --- | ---: | ---: | --- |"] if heading else []
    for figure in figures:
        rounds = " · ".join(_number(value) for value in figure.rounds)
        median_ = f"{_number(figure.median)} {figure.unit}".rstrip()
        lines.append(f"| {figure.name} | {median_} | {_goal(figure)} | {rounds} |")
    return "\n".join(lines)


def _goal(figure: Figure) -> str:
    if figure.goal is None:
        return ""
    sign = "≥" if figure.better == "more" else "≤"
    return f"{sign} {_number(figure.goal)}, {'met' if figure.met else 'missed'}"


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.2f}"
