"""Targets, and whether they are met."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target: what it is about, what was found, the most that it may be."""

    what: str
    found: str
    target: str
    met: bool


def at_most(what: str, found: float, target: float, form: str = "{:,.0f}") -> Verdict:
    return Verdict(what, form.format(found), f"≤ {form.format(target)}", found <= target)


def below(what: str, found: float, target: float, form: str = "{:.2f}") -> Verdict:
    return Verdict(what, form.format(found), f"< {form.format(target)}", found < target)
