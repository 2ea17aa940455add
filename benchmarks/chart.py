"""One line chart on double logarithmic scales, as SVG: readable without colours, in light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 76, 210, 48, 52
COLOURS = ("#0969da", "#1a7f37", "#cf222e", "#9a6700")
DASHES = ("", "7 4", "2 4", "10 3 2 3")
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 }
.grid { stroke: #d0d7de; stroke-width: 1 }
.line { fill: none; stroke-width: 2.5 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .grid { stroke: #30363d } }
"""


@dataclass(frozen=True, slots=True)
class Scale:
    """Powers of ten between two places."""

    low: int
    high: int
    begin: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], begin: float, end: float) -> Scale:
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        return cls(low, max(high, low + 1), begin, end)

    def place(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return round(self.begin + share * (self.end - self.begin), 1)

    @property
    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


def chart(title: str, x_label: str, lines: Mapping[str, Points], *, money: bool = True) -> str:
    """The chart; each line is named at its end."""
    x = Scale.over([x for points in lines.values() for x, _ in points], LEFT, WIDTH - RIGHT)
    y = Scale.over([y for points in lines.values() for _, y in points], HEIGHT - BOTTOM, TOP)
    body = [*_grid(x, y, money=money), f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>']
    body.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x_label)}</text>'
    )
    ends = _apart({name: y.place(points[-1][1]) for name, points in lines.items()})
    for number, (name, points) in enumerate(lines.items()):
        body += _line(number, name, [(x.place(px), y.place(py)) for px, py in points], ends[name])
    told = "; ".join(f"{name}: {_amount(points[-1][1], money=money)}" for name, points in lines.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}. At the right end: {escape(told)}"><style>{STYLE}</style>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _grid(x: Scale, y: Scale, *, money: bool) -> list[str]:
    lines = []
    for tick in x.ticks:
        at = x.place(tick)
        lines.append(f'<path class="grid" d="M{at} {TOP}V{HEIGHT - BOTTOM}"/>')
        lines.append(f'<text x="{at}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:,.0f}</text>')
    for tick in y.ticks:
        at = y.place(tick)
        lines.append(f'<path class="grid" d="M{LEFT} {at}H{WIDTH - RIGHT}"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{at + 4}" text-anchor="end">{_amount(tick, money=money)}</text>')
    return lines


def _line(number: int, name: str, places: Sequence[tuple[float, float]], label: float) -> list[str]:
    colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
    path = "L".join(f"{px} {py}" for px, py in places)
    dots = [f'<circle cx="{px}" cy="{py}" r="3.5" fill="{colour}"/>' for px, py in places]
    end = places[-1][0]
    return [
        f'<path class="line" stroke="{colour}" stroke-dasharray="{dash}" d="M{path}"/>',
        *dots,
        f'<text x="{end + 12}" y="{label + 4}">{escape(name)}</text>',
    ]


def _apart(places: Mapping[str, float]) -> dict[str, float]:
    """Labels that would overlap are moved downwards."""
    moved: dict[str, float] = {}
    last = -math.inf
    for name, place in sorted(places.items(), key=lambda each: each[1]):
        last = max(place, last + 18)
        moved[name] = last
    return moved


def _amount(value: float, *, money: bool) -> str:
    if not money:
        return f"{value:,.0f}"
    return f"${value:,.0f}" if value >= 1 else f"${value:.6f}".rstrip("0").rstrip(".")
