"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from benchmarks import cold_start, deploys, growth, latency, planner, sites, storms, throughput
from benchmarks.calibration import Calibration
from benchmarks.cloud.assumed import listed
from benchmarks.cloud.usage import Meter, Usage
from benchmarks.prices import PRICES, bill, total
from benchmarks.verdicts import Verdict


@dataclass(frozen=True)
class Results:
    """All that was measured and counted."""

    deployed: Sequence[deploys.Row]
    limited: Sequence[deploys.Row]
    month: Usage
    queue_month: Usage
    times: Sequence[latency.Row]
    grown: Sequence[growth.Row]
    planned: Sequence[planner.Row]
    stormed: Sequence[storms.Row]
    listed: Sequence[storms.Large]
    starts: Sequence[cold_start.Row]
    package: cold_start.Package
    through: throughput.Row
    calibration: Calibration
    verdicts: Sequence[Verdict]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; all columns but the first are aligned to the right."""
    lines = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def document(results: Results, machine: Iterable[tuple[str, str]], *, short: bool) -> str:
    form = "the short form (`make bench` runs the long one)" if short else "the long form"
    parts = [
        "# What it costs and how long it takes",
        f"Written by {form}; the next run overwrites this page.",
        "## Verdicts",
        verdicts(results.verdicts),
        HOW,
        *_cost(results),
        *(_storms(results) if results.stormed else ()),
        *_time(results),
        "## What was assumed",
        table(["", "value"], [(name.replace("_", " "), f"{value:g}") for name, value in listed()]),
        "## Prices",
        "US East (N. Virginia), without free tiers. Sources are pages of aws.amazon.com.",
        table(
            ["", "dollars", "for", "source", "note"],
            [(meter.value, f"{p.dollars:g}", f"{p.units:,}", p.source, p.note) for meter, p in PRICES.items()],
        ),
        "## The machine",
        table(["", ""], machine),
    ]
    return "\n\n".join(parts) + "\n"


HOW = """## How to read this

- **Counted**: state transitions, calls, paths, DynamoDB units, log bytes, metrics. The state machine's own definition
  is walked on a simulated clock, the real handlers do the work, and every request of theirs is counted. Tests hold the
  walk against the same executions on moto, and the simulated table against the contract of DynamoDB's.
- **Measured**: processor time of handlers and SDK on the machine below, cold starts, planner, throughput. Processor
  time is scaled to what a function's memory buys (1,769 MB is one processor).
- **Assumed**: how long AWS takes, and what it does unseen; all of it is listed below. Handlers run one at a time, so
  that lost races (a read and a write more for each) are not counted. What only AWS can show remains to be seen there.
- **The month**: bills know no free tiers, so the deploys run in a month whose free paths are used up, in which the
  stack is thrifty. What a storm gets while there are free paths left is the table of what a storm evicts.
- **Rivals**: our own code, in `baseline.py`. A key counts as invalidated if a path is spelled for it as CloudFront
  documents; a rival that encodes differently, or sends a `~`, which CloudFront refuses with all that goes with it,
  leaves it.
- Transitions are states entered and retries. Should AWS count each start as one more, 10,000 objects cost $0.25 more
  in direct intake, and less than a cent in buffered intake."""


def verdicts(found: Iterable[Verdict]) -> str:
    return table(
        ["target", "found", "wanted", ""],
        [(each.what, each.found, each.target, "met" if each.met else "**missed**") for each in found],
    )


def _cost(results: Results) -> Iterator[str]:
    yield "## The cost of a deploy"
    yield "![The bill by the number of objects](growth.svg)"
    yield "### In short"
    yield (
        f"Dollars of a deploy of the documentation site at {deploys.RATES[0]} objects a second, paths included, with "
        "no free tier; then what the largest one leaves stale, and evicts needlessly."
    )
    yield _short(results.deployed)
    for (site, rate), rows in groupby(sorted(results.deployed, key=_group), _group):
        yield f"### {site.capitalize()}, {rate:,} objects a second"
        yield table(HEAD, map(_deploy, rows))
    if results.limited:
        yield _losses(results.limited)
    yield "### The bill of 10,000 objects, and of one"
    yield _bills(results.deployed)
    yield "### An idle month"
    yield table(
        ["", "amount", "dollars"],
        [(meter.value, _amount(results.month[meter]), f"{cost:.4f}") for meter, cost in bill(results.month).items()]
        + [("**in all**", "", f"**{total(results.month):.2f}**")],
    )
    yield f"A queue that Lambda's five readers ask all month costs ${total(results.queue_month):.2f}, and no more."
    yield _polling(results.month)
    yield "The key costs $1 more a month after each of its first two rotations, which come every seven years."


def _polling(month: Usage) -> str:
    cost = bill(month)[Meter.SQS_REQUESTS]
    return (
        f"The pipe polls its queue with either intake, so that what is in the queue drains after a switch: ${cost:.2f} "
        f"of it, or nothing within SQS's free million requests. Without that it is ${total(month) - cost:.2f}."
    )


def _short(rows: Sequence[deploys.Row]) -> str:
    shown = [r for r in rows if (r.site, r.a_second) == (deploys.DOCUMENTATION, deploys.RATES[0])]
    who = list(dict.fromkeys(row.who for row in shown))
    by = {(row.who, row.objects): row for row in shown}
    sizes = sorted({row.objects for row in shown})
    largest = [by[each, sizes[-1]] for each in who]
    return table(
        ["objects that change", *who],
        [
            *((f"{size:,}", *(f"${by[each, size].dollars:,.4f}" for each in who)) for size in sizes),
            ("changed, not invalidated", *(f"{row.missed:,}" for row in largest)),
            ("unchanged, invalidated", *(f"{row.too_many:,} of {row.stays:,}" for row in largest)),
        ],
    )


def _group(row: deploys.Row) -> tuple[str, int]:
    return row.site, row.a_second


HEAD = [
    "who", "objects", "paths", "wildcards", "Create", "List", "other CloudFront", "executions", "transitions",
    "invocations", "cold", "GB-s", "write units", "read units", "log MB", "dollars", "of these paths",
    "unchanged, invalidated", "changed, not invalidated", "seconds to the last invalidation",
]  # fmt: skip


def _deploy(row: deploys.Row) -> Sequence[object]:
    usage, calls = row.usage, row.usage.calls
    create, listing = calls["cloudfront:CreateInvalidation"], calls["cloudfront:ListDistributions"]
    return (
        row.who,
        f"{row.objects:,}",
        f"{usage[Meter.PATHS]:,}",
        f"{usage.wildcards:,}",
        f"{create:,}",
        f"{listing:,}",
        f"{usage.cloudfront_calls - create - listing:,}",
        f"{usage.executions:,}",
        f"{usage[Meter.TRANSITIONS]:,}",
        f"{usage[Meter.LAMBDA_REQUESTS]:,}",
        f"{usage.cold_starts:,}",
        f"{usage[Meter.LAMBDA_GB_SECONDS]:,.1f}",
        f"{usage[Meter.WRITE_UNITS]:,}",
        f"{usage[Meter.READ_UNITS]:,.0f}",
        f"{usage[Meter.LOG_GB] * 1024:,.1f}",
        f"{row.dollars:,.4f}",
        f"{PRICES[Meter.PATHS].of(usage[Meter.PATHS]):,.3f}",
        f"{row.too_many:,} of {row.stays:,}",
        f"{row.missed:,}",
        f"{row.seconds:,.0f}",
    )


def _amount(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) or number > 100 else f"{number:.4f}"


def _losses(rows: Sequence[deploys.Row]) -> str:
    lines = [
        f"- {row.who}: {row.objects - row.missed:,} of {row.objects:,} changes are invalidated, {row.missed:,} are not."
        for row in rows
    ]
    return (
        "The rivals' bills suppose that CloudFront takes whatever comes. With its quotas of requests, paths and "
        f"wildcards in progress in force, at {rows[0].a_second:,} objects a second:\n\n" + "\n".join(lines)
    )


def _bills(rows: Sequence[deploys.Row]) -> str:
    """Every line of the bill, for those who pay; the last rate of the documentation site."""
    shown = {
        (row.who, row.objects): row
        for row in rows
        if row.site == deploys.DOCUMENTATION and row.objects in (1, deploys.SIZES[-1])
    }
    of = [bill(row.usage) for row in shown.values()]
    lines = [
        (meter.value, *(f"{each.get(meter, 0):.6f}" for each in of)) for meter in Meter if any(meter in b for b in of)
    ]
    sums = ("**in all**", *(f"**{row.dollars:.4f}**" for row in shown.values()))
    return table(["dollars", *(f"{who}, {objects:,}" for who, objects in shown)], [*lines, sums])


def _storms(results: Results) -> Iterator[str]:
    yield "## What a storm evicts"
    yield (
        f"Sites of about {sites.SMALLEST:,} objects; what changes has neighbours that do not. *{storms.UNLISTED}* is "
        "where the bucket may not be listed. *Fewest* is what the best cover of that size evicts, found another "
        "way than the planner does. Dollars are those of a month with its free paths left, and without any. A name "
        "with `~` can be purged by a wildcard only, so that a package repository's paths are wildcards already."
    )
    yield table(
        ["site", "changes", "rule", "paths", "wildcards", "dollars within", "dollars beyond", "evicted", "fewest", "%"],
        [
            (
                row.site, f"{row.changes:,}", row.rule, f"{row.paths:,}", row.wildcards, f"{row.dollars:.2f}",
                f"{row.dollars_beyond:.2f}", f"{row.evicted:,} of {row.unchanged:,}",
                "" if row.fewest is None else f"{row.fewest:,}", f"{row.percent:.1f}",
            )
            for row in results.stormed
        ],
    )  # fmt: skip
    yield f"Planning with a listing of {storms.LISTED:,} keys, as many as are ever listed, within the allowance:"
    yield table(
        ["case", "changes", "processor, s", "evicted"],
        [(each.case, f"{each.changes:,}", f"{each.seconds:.1f}", f"{each.evicted:,}") for each in results.listed],
    )


def _time(results: Results) -> Iterator[str]:
    yield "## Time to a created invalidation"
    yield (
        "One change, all sides with 512 MB. The rival lists all distributions each time; the stack remembers them for "
        "a minute, and a configuration, in its table as well, as long as the listing gives its distribution the same "
        f"ETag. Cold: the last change was {latency.QUIET / 60:.0f} minutes ago, no function is left, and nothing is "
        "remembered but the configuration in the table, which is what a lone change after quiet minutes finds; three "
        "of the stack's functions start in a row then (Join Batch, Resolve Distributions, Create Invalidation), and "
        "one of the rival's. The very first change of a stack finds that table empty; it has no target. The half "
        "second of the event's way is in all of them."
    )
    yield table(
        ["pages of distributions", "stack, s", "rival, s", "ratio", "stack, list not remembered, s", "ratio",
         "stack, cold, s", "rival, cold, s", "ratio", "very first change, s", "ratio",
         "stack behind a queue without a window, s", "queue, read after 5 s, warm, s"],
        [
            (row.pages, f"{row.warm:.2f}", f"{row.rival:.2f}", f"{row.ratio:.2f}", f"{row.read_anew:.2f}",
             f"{row.ratio_read_anew:.2f}", f"{row.cold:.2f}", f"{row.rival_cold:.2f}", f"{row.ratio_cold:.2f}",
             f"{row.first:.2f}", f"{row.ratio_first:.2f}", f"{row.at_once:.2f}", f"{row.batching:.2f}")
            for row in results.times
        ],
    )  # fmt: skip
    first, last = latency.burst(results.calibration)
    yield (
        f"A small deploy after quiet minutes, {latency.BURST} changes within half a second, is two batches, the second "
        f"of which waits for the window: created after {first:.2f} s and {last:.2f} s (docs/adr/0011)."
    )
    yield _at_once(results)
    yield from _growth(results)
    yield from _planner(results)
    yield from _starts(results)


def _at_once(results: Results) -> str:
    """What the third intake, which the stack does not have, would be."""
    largest = deploys.SIZES[-1]
    started = {
        (row.who, row.a_second): f"{row.usage.executions:,}"
        for row in results.deployed
        if (row.site, row.objects) == (deploys.DOCUMENTATION, largest)
    }
    told = [
        f"{started[deploys.AT_ONCE, rate]} executions at {rate:,} a second (Buffered: {started['buffered', rate]})"
        for rate in deploys.RATES
        if (deploys.AT_ONCE, rate) in started
    ]
    return (
        f"A queue without a window is an intake that the stack does not have. {largest:,} objects would start "
        f"{', '.join(told) or 'what the long form counts'}. To become the default of Buffered it needs `IntakeSeconds` "
        "0, and a proof on AWS that a pipe hands on a lone message at once: EventBridge's guide lets it wait for 20 s."
    )


def _growth(results: Results) -> Iterator[str]:
    yield "## Growth"
    yield "The steepest slope between neighbouring sizes, on double logarithmic scales: 1 grows like the changes."
    yield table(["with the changes", *deploys.TARGETS], growth.slopes(results.deployed))
    yield "100 changes, with so many distributions in front of the bucket, two of them at a time:"
    yield table(
        [
            "distributions",
            "transitions",
            "CloudFront calls",
            "DynamoDB units",
            "seconds until all are fresh",
            "processor, s",
        ],
        [
            (
                r.serving,
                f"{r.transitions:,.0f}",
                r.cloudfront_calls,
                f"{r.units:,.0f}",
                f"{r.seconds:,.0f}",
                f"{r.cpu:.2f}",
            )
            for r in results.grown
        ],
    )


def _planner(results: Results) -> Iterator[str]:
    yield "## Planner"
    yield table(
        ["case", "keys", "µs a key", "peak MB", "paths", "wildcards", "unchanged, % of site", "fewest possible, %"],
        [
            (r.case, f"{r.keys:,}", f"{r.microseconds_per_key:.2f}", f"{r.peak_megabytes:.0f}", r.paths, r.wildcards,
             f"{r.unchanged_percent:.2f}", f"{r.fewest_unchanged_percent:.2f}")
            for r in results.planned
        ],
    )  # fmt: skip


def _starts(results: Results) -> Iterator[str]:
    yield "## Cold start"
    yield (
        "Processor time of import and client creation; ratios to `import boto3` and the same clients. On a busy "
        "machine they vary by a tenth from run to run. The target is judged on Lambda's own Python only."
    )
    yield table(
        ["function", "clients", "bare, ms", "as packaged", "sources alone"],
        [
            (r.function, ", ".join(r.clients), f"{r.bare * 1000:.0f}", f"{r.packaged:.2f}", f"{r.sources:.2f}")
            for r in results.starts
        ],
    )
    size = results.package
    yield (
        f"The deployment package has {size.zipped / 1e6:.1f} MB zipped, {size.unzipped / 1e6:.1f} MB unpacked, "
        f"of which {size.own / 1e6:.2f} MB are this project's."
    )
    yield "The SDK's processor time for a call, TLS left out:"
    calls = results.calibration.calls.items()
    yield table(["call", "ms"], [(name, f"{seconds * 1000:.2f}") for name, seconds in calls])
    yield "## Throughput of the local AWS"
    row = results.through
    yield (
        f"{row.objects:,} objects: put within {row.put:.1f} s, covered by {row.batches} batches within "
        f"{row.covered:.1f} s, which is {row.a_second:.0f} changes a second. The stack was there after "
        f"{row.ready:.1f} s."
    )
