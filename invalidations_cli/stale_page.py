"""Why a page is stale. From its address to the object, what the edge gives and what the bucket holds, and who was told.

Source of the way from an address to a key: CloudFront Developer Guide, "Cache behavior settings", "Origin settings",
"Specify a default root object".
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

import click
from botocore.exceptions import ClientError

from invalidation.batches.head import Head
from invalidation.cloudfront.bucket import BucketReader
from invalidation.cloudfront.client import CloudFront
from invalidation.cloudfront.distribution import Behavior, Distribution, Origin
from invalidation.cloudfront.edge import EdgeAnswer, EdgeVerdict, Looked, ask_edge, look
from invalidation.cloudfront.paths import covers
from invalidation.cloudfront.patterns import PathPattern, matched_forms
from invalidation.cloudfront.routing import WEBSITE_INDEX
from invalidation.config import Settings
from invalidation.outcome import BatchReport
from invalidations_cli.audit_query import AuditQuery, ask
from invalidations_cli.aws import Stack, is_local
from invalidations_cli.backlog import BacklogReader
from invalidations_cli.output import escape, now, took

BATCHES = 200
"""Batches since the change among which the one is sought that covers it."""
BEFORE = timedelta(minutes=10)
"""How much earlier than its last change a batch may have been opened that owns it: more than the longest window."""


class PageVerdict(StrEnum):
    """Why an address shows what it shows."""

    FRESH = "fresh"
    BEING_INVALIDATED = "stale-being-invalidated"
    FAILED = "stale-invalidation-failed"
    ALTHOUGH_INVALIDATED = "stale-although-invalidated"
    NEVER_TOLD = "stale-never-told"
    EXCLUDED = "stale-excluded"
    NOT_SERVED = "not-served-by-this-stack"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PageRoute:
    """Where an address leads: keys are those that it may stand for, the likeliest first."""

    distribution: Distribution
    behavior: Behavior
    origin: Origin
    keys: tuple[str, ...]


@dataclass(slots=True)
class PageFacts:
    """What was found out about an address; ``why`` and ``command`` are for a person."""

    url: str
    verdict: PageVerdict = PageVerdict.UNKNOWN
    why: str = ""
    command: str = ""
    route: PageRoute | None = None
    key: str = ""
    modified: datetime | None = None
    looked: Looked | None = None
    answer: EdgeAnswer | None = None
    batch: BatchReport | None = None
    cut: Sequence[Any] = field(default_factory=list)

    def to_document(self) -> dict[str, Any]:
        """JSON-able; what is not known is left out."""
        route, batch = self.route, self.batch
        of_route = {
            "distributionId": route.distribution.id,
            "behavior": route.behavior.pattern,
            "origin": route.origin.id,
            "bucket": route.distribution.bucket,
            "key": self.key,
        } if route else {}  # fmt: skip
        edge = {
            "status": self.answer.status,
            "etag": self.answer.etag,
            "xCache": self.answer.x_cache,
            "age": self.answer.age,
        } if self.answer else {}  # fmt: skip
        completed = batch.completed_for(route.distribution.id) if batch and route else None
        bucket = {
            "etag": self.looked.stored if self.looked else "",
            "lastModified": self.modified.isoformat() if self.modified else None,
        }
        return {
            "url": self.url,
            "verdict": self.verdict.value,
            "why": self.why,
            "command": self.command,
            **of_route,
            **({"edge": edge} if edge else {}),
            **({"stored": bucket} if route else {}),
            **({"batch": batch.to_document()} if batch else {}),
            **({"invalidationCompleted": completed.isoformat()} if completed else {}),
            "cut": [each.to_document() for each in self.cut],
        }


def parsed_url(url: str) -> SplitResult:
    """An address, https where it does not say; raises click.UsageError where it is none."""
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        known = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or True)
    except ValueError:
        known = False
    if not known or re.search(r"[^!-~]", parts.netloc):
        raise click.UsageError(f"{escape(url)} is no address such as https://www.example.com/index.html")
    return parts


def answers_to(distribution: Distribution, host: str) -> bool:
    """Whether the host is the distribution's own, or an alias. Those may begin with ``*.``."""
    names = [each.lower() for each in (distribution.domain_name, *distribution.aliases) if each]
    return host.lower() in names or f"*.{host.lower().partition('.')[2]}" in names


def route_of(distribution: Distribution, path: str, settings: Settings) -> PageRoute | None:
    """From the path of an address (as written, without its query) to keys. None: it goes to another origin."""
    location = unquote(path) or "/"
    root = location == "/" and distribution.default_root_object
    if root:
        location = f"/{distribution.default_root_object}"
    forms = matched_forms(location)
    behavior = next(each for each in distribution.behaviors if PathPattern(each.pattern).may_match(forms))
    ours = [each for each in distribution.origins if each.id in behavior.origin_ids]
    if not ours:
        return None
    found = dict.fromkeys(
        key
        for origin in ours
        for asked in _locations(distribution, behavior, origin, location, settings)
        for key in _keys(distribution.bucket, origin, asked)
        if key
    )
    return PageRoute(distribution, behavior, ours[0], tuple(found)) if found else None


def _locations(
    distribution: Distribution, behavior: Behavior, origin: Origin, location: str, settings: Settings
) -> Iterator[str]:
    """What the origin is asked for, an index document in place of its folder."""
    index = settings.directory_index or (distribution.website_index if origin.website else "") or WEBSITE_INDEX
    adds = origin.website or behavior.rewrites or bool(settings.directory_index)
    if adds and location.endswith("/"):
        yield location + index
    yield location
    if adds and not location.endswith("/"):
        yield f"{location}/{index}"
        yield f"{location}.html"


def _keys(bucket: str, origin: Origin, location: str) -> Iterator[str]:
    whole = f"{origin.path}{location}"
    yield whole.removeprefix(f"/{bucket}" if origin.path_style else "").removeprefix("/")
    if origin.foreign and origin.path:
        yield location.removeprefix("/")


def asker(stack: Stack, scheme: str) -> Callable[[str, str], EdgeAnswer]:
    """Asks the edge for a path. The address's own host, or the local AWS where the stack is there."""
    endpoint = str(getattr(getattr(stack.client("s3"), "meta", None), "endpoint_url", ""))
    if endpoint and is_local(endpoint):
        local = urlsplit(endpoint).netloc
        return partial(ask_edge, connect=lambda _host, timeout: http.client.HTTPConnection(local, timeout=timeout))
    connect = http.client.HTTPConnection if scheme == "http" else http.client.HTTPSConnection
    return partial(ask_edge, connect=connect)


@dataclass(frozen=True, slots=True)
class PageQuestion:
    """An address, and whom to ask. ``blockers`` says why a change of a bucket's key starts nothing."""

    stack: Stack
    settings: Settings
    blockers: Callable[[str, str], Sequence[str]]
    cut_checks: Callable[[str, str], Sequence[Any]]
    ask: Callable[[str, str], EdgeAnswer] | None = None

    def answer(self, url: str) -> PageFacts:
        """Everything that is known of the address, and the verdict."""
        parts, facts = parsed_url(url), PageFacts(url)
        facts.route, facts.why = self._route(parts)
        if facts.route is None:
            facts.verdict = PageVerdict.NOT_SERVED
            facts.command = self.stack.command("doctor")
            return facts
        bucket, s3 = facts.route.distribution.bucket, self.stack.client("s3")
        facts.key, facts.modified = self._object(bucket, facts.route.keys)

        def asked(host: str, path: str) -> EdgeAnswer:
            facts.answer = (self.ask or asker(self.stack, parts.scheme))(host, path)
            return facts.answer

        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (f"?{parts.query}" if parts.query else "")
        facts.looked = look(s3, bucket, facts.key, parts.netloc.rpartition("@")[2], path, ask=asked)
        facts.batch = self._batch(facts.route.distribution, facts.key, path, facts.modified)
        facts.cut = self.cut_checks(bucket, facts.key)
        judge(facts, self.stack, self.blockers(bucket, facts.key), owed=partial(self._owed, bucket))
        return facts

    def _route(self, parts: SplitResult) -> tuple[PageRoute | None, str]:
        """The first watched bucket that the address leads to, or why there is none."""
        client = self.stack.client
        cloudfront = CloudFront(client("cloudfront"), buckets=BucketReader(lambda service, **_region: client(service)))
        host, why = parts.hostname or "", ""
        for bucket in self.stack.bucket_names:
            of_host = [each for each in cloudfront.distributions(bucket) if answers_to(each, host)]
            if not of_host:
                return None, f"no distribution of this account answers to {host}"
            (distribution, *_) = of_host
            named = self.settings.distribution_ids
            if named and distribution.id not in named:
                return None, f"DistributionIds does not name {distribution.id}, which answers to {host}"
            if named:
                (distribution,) = cloudfront.distributions_serving(bucket, named=[distribution.id])
            if not distribution.enabled:
                return None, f"the distribution {distribution.id} is disabled"
            if distribution.origins and (found := route_of(distribution, parts.path, self.settings)):
                return found, ""
            why = f"{distribution.id} sends {parts.path or '/'} to an origin that is no bucket of this stack"
        return None, why or "the stack watches no bucket"

    def _object(self, bucket: str, keys: Sequence[str]) -> tuple[str, datetime | None]:
        """The first key that there is, and when it was last put. The likeliest one, if there is none."""
        for key in keys:
            try:
                return key, self.stack.client("s3").head_object(Bucket=bucket, Key=key).get("LastModified")
            except ClientError:
                continue
        return keys[0], None

    def _batch(self, distribution: Distribution, key: str, path: str, modified: datetime | None) -> BatchReport | None:
        """The newest batch that owns the last change, or whose request covers the address."""
        since = modified - BEFORE if modified else datetime.now(UTC) - timedelta(days=7)
        table, of_key = self.stack.table(), AuditQuery(bucket=distribution.bucket, key=key, since=since)
        for found in ask(table, of_key, (), lambda _batch: None):
            if modified is None or found.batch.closed >= modified:
                return found
            break
        of_distribution = AuditQuery(distribution_id=distribution.id, since=modified or since)
        for found in islice(ask(table, of_distribution, (), lambda _batch: None), BATCHES):
            samples = [
                each.plan.sample for each in found.targets if each.plan and each.distribution_id == distribution.id
            ]
            if any(covers(sent, path) for sample in samples for sent in sample):
                return found
        return None

    def _owed(self, bucket: str) -> bool:
        """Whether changes of the bucket wait, or are being worked on."""
        backlog = BacklogReader(self.stack, bucket, datetime.now(UTC)).look()
        return bool(backlog.pending or backlog.unfinished or backlog.running)


def judge(facts: PageFacts, stack: Stack, blockers: Sequence[str], owed: Callable[[], bool]) -> None:
    """Write the verdict, one sentence, and the command that fixes it."""
    if not facts.looked or not facts.route:
        return
    bucket, batch = facts.route.distribution.bucket, facts.batch
    again = stack.command("request", "--bucket", bucket, facts.key, "--wait")
    match facts.looked.verdict:
        case EdgeVerdict.FRESH:
            facts.verdict = PageVerdict.FRESH
            facts.why = "the edge gives what the bucket holds. If you see an old page, your browser or a proxy kept it"
        case EdgeVerdict.UNKNOWN:
            facts.why = f"the edge's answer ({facts.looked.served}) cannot be compared with the object"
            facts.command = stack.command("explain", "--bucket", bucket, "--key", facts.key)
        case _ if blockers:
            facts.verdict, facts.command = PageVerdict.EXCLUDED, again
            facts.why = f"stale, and a change of it starts nothing: {'; '.join(blockers)}"
        case _ if batch and batch.parked:
            facts.verdict, facts.command = PageVerdict.FAILED, stack.command("retry", batch.batch.batch_id)
            facts.why = f"stale: batch {batch.batch.batch_id} failed permanently ({batch.batch.error})"
        case _ if (batch and batch.batch.outcome is None) or (not batch and not facts.cut and owed()):
            facts.verdict, facts.command = PageVerdict.BEING_INVALIDATED, stack.command("wait", "--bucket", bucket)
            facts.why = "stale, and being invalidated"
            if Head.read(stack.table(), bucket).paused:
                facts.command = stack.command("resume", bucket)
                facts.why = f"stale, and to be invalidated once somebody resumes {bucket}, which is paused"
        case _ if batch and batch.succeeded and not batch.dry_run:
            facts.verdict, facts.command = PageVerdict.ALTHOUGH_INVALIDATED, again
            facts.why = (
                "stale although it was invalidated: another cache in front, an edge function, or another origin gave "
                "the old content back, or an older object was put again"
            )
        case _:
            facts.verdict, facts.command = PageVerdict.NEVER_TOLD, again
            facts.why = f"stale, and the stack was never told of the last change of {facts.key}"
            if facts.cut:
                facts.why += f": {facts.cut[0].evidence}"
                facts.command = f"{facts.cut[0].remedy}\n{again}"


def lines_of_page(facts: PageFacts) -> Iterator[str]:
    """The answer for a person; the verdict comes last, with the command below it."""
    yield click.style(escape(facts.url, 4_000), bold=True)
    if facts.route:
        route = facts.route
        by = f"behaviour {escape(route.behavior.pattern)}, origin {escape(route.origin.id)}"
        yield f"  distribution  {route.distribution.id}, {by}"
        yield f"  object        {escape(facts.key)} in {route.distribution.bucket}"
    if facts.looked:
        changed = f", last put {facts.modified:%Y-%m-%d %H:%M:%S} UTC" if facts.modified else ""
        yield f"  bucket holds  {escape(facts.looked.stored)}{changed}"
        told = ""
        if facts.answer:
            told = (
                f" (status {facts.answer.status}, X-Cache {facts.answer.x_cache or '-'}, Age {facts.answer.age or '-'})"
            )
        yield f"  edge gives    {escape(facts.looked.served)}{escape(told)}"
    if facts.modified and facts.verdict.value.startswith("stale"):
        age = took((now() - facts.modified).total_seconds())
        yield f"  old content   for at most {age}, since the object was put"
    if facts.batch:
        yield f"  batch         {facts.batch.batch.batch_id}: {facts.batch.outcome}"
        for owner, record in facts.batch.created:
            done = facts.batch.completed_for(owner)
            ended = f", completed by {done:%H:%M:%S}" if done else ""
            created = f"created {record.created:%Y-%m-%d %H:%M:%S}{ended} UTC"
            yield f"  invalidation  {record.invalidation_id} of {owner}, {created}"
    colour = "green" if facts.verdict is PageVerdict.FRESH else "yellow"
    yield click.style(f"{facts.verdict.value}: {escape(facts.why, 1_000)}", fg=colour)
    yield from (f"  {line}" for line in facts.command.splitlines())
