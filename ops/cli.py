"""The command line: `invalidations …`. Each command is a module of its own, imported only when it is called.

To add one, write `ops/<name>.py` with a click command and add its line to COMMANDS.
"""

import click

from ops.lazy import LazyGroup

COMMANDS = {
    "request": ("ops.request:request", "Invalidate keys of a bucket, or paths of a distribution, now."),
    "wait": ("ops.wait:wait", "Return when the edge shows all that was changed: for deploy scripts."),
    "explain": ("ops.explain:explain", "Who serves a key, and what a change of it invalidates, and why."),
    "bucket": ("ops.bucket:bucket", "Let buckets send their events, or see whether they do."),
    "audit": ("ops.audit:audit", "Who changed what, what was invalidated where, and what it cost."),
    "show": ("ops.show:show", "The whole story of one execution, batch or invalidation."),
    "watch": ("ops.watch:watch", "See executions run, state by state."),
    "graph": ("ops.graph:graph", "An execution as one HTML page: graph, data, timeline, events."),
    "status": ("ops.status:status", "What waits, what is owed, and what needs a person: one screen."),
    "retry": ("ops.retry:retry", "Try a failed or parked batch again, or an execution that ended too early."),
    "abandon": ("ops.abandon:abandon", "Give up a parked batch, for good; the audit keeps who and why."),
    "dead-letters": ("ops.dead_letters:dead_letters", "Events that never started an execution; replay them."),
    "pause": ("ops.pausing:pause", "Let the changes of a bucket wait."),
    "resume": ("ops.pausing:resume", "Go on with a paused bucket."),
    "local": ("ops.local.commands:local", "A laptop-sized AWS on which everything runs."),
}


@click.group(
    cls=LazyGroup,
    commands_at=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="cloudfront-auto-invalidation", prog_name="invalidations")
def main() -> None:
    """CloudFront shows what S3 holds: try it, watch it, ask it."""


if __name__ == "__main__":
    main()
