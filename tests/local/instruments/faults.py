"""Faults that tests inject into a running emulator, and how often each struck.

A fault strikes at one of four things:

- a *request* of a function (nobody else's) for an IAM action: it is answered with an error, or late, or both;
- a *worker*: its process is killed while a handler runs;
- an *event* of S3: it is delivered late, or twice;
- the *edge*: it goes on giving the copy that it holds, although an invalidation of it has completed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tests.local.instruments import control


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault.

    Attributes:
        kind: What it is called in the count.
        strikes: What it strikes at.
        on: A request's action, such as `cloudfront:*`, the name of a worker's function, or the id of the distribution
            whose edge it is; `*` and `?` as in a shell.
        code: The error with which a request is answered; "": as it would be without the fault.
        status: The HTTP status of that error.
        carried_out: Whether the request is carried out all the same, or the event delivered at once all the same.
        seconds: How late a request is answered. A worker lives, and an event is late, for up to that long.
        share: How many of those that it could strike at it does, from 0 to 1.
        times: How often it strikes at most.
    """

    kind: str
    strikes: Literal["request", "worker", "event", "edge"]
    on: str = "*"
    code: str = ""
    status: int = 500
    carried_out: bool = False
    seconds: float = 0.0
    share: float = 1.0
    times: int = 1_000_000_000


def order(endpoint: str, faults: Iterable[Fault], seed: int = 0) -> None:
    """These faults, and no others, from now on; the count goes on."""
    control.tell(endpoint, "faults", {"seed": seed, "faults": [asdict(fault) for fault in faults]})


def struck(endpoint: str) -> Counter[str]:
    """How often each kind has struck so far."""
    answer: dict[str, Any] = control.ask(endpoint, "faults")
    return Counter(answer)
