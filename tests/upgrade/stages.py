"""Every stage at which a batch's records can be found in the table, made by the real handlers, which then die.

``python -m tests.upgrade.stages`` writes what this release leaves behind as the golden files of its form. Do that while
the release is in the making; once it is out, its files stay as they are, and the next form gets a folder of its own.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from invalidation.batches.head import pause
from invalidation.batches.table import VERSION, Item
from invalidation.bucket_events import EVENT_BRIDGE, BucketEvents, Switched, WatchedBuckets
from invalidation.config import Settings
from invalidation.errors import AccessDenied, CloudFrontUnavailable
from tests.upgrade.world import DISTRIBUTIONS, Died, Edge, MortalTable, World, worlds

RECORDS = Path(__file__).parent / "records"
START = datetime(2026, 11, 23, 6, 27, 19, tzinfo=UTC)
KEYS = ("index.html", "wir über uns.html")
"""In the first shard of pending changes, and in the last, however many there are."""
Stage = Callable[[World, str], None]


def event(bucket: str, key: str, *, sequencer: str = "00617F08299329D189") -> dict[str, Any]:
    """An S3 event, with all that the records keep of one."""
    return {
        "id": f"event of {key}",
        "source": "aws.s3",
        "detail-type": "Object Created",
        "time": "2026-11-23T06:27:18Z",
        "detail": {
            "bucket": {"name": bucket},
            "object": {
                "key": key,
                "etag": "b1946ac92492d2347c6235b4d2611184",
                "sequencer": sequencer,
                "version-id": "v1",
            },
            "requester": "123456789012",
            "source-ip-address": "192.0.2.7",
            "reason": "PutObject",
        },
    }


def pending(world: World, bucket: str) -> None:
    """A join died between its write and its reading."""
    world.table.dies = lambda operation, key: operation.startswith("get") and key.sk == "HEAD"
    _run(world, bucket)


def gathering(world: World, bucket: str) -> None:
    """A leader died before it closed its head, and another change has joined it."""
    world.run("leader", _events(bucket), until="join_batch")
    world.run("follower", event(bucket, KEYS[1]), until="join_batch")


def closed(world: World, bucket: str) -> None:
    """A Close died before it had frozen its list."""
    world.table.dies = lambda operation, key: operation == "put" and key.sk.startswith("KEYS#")
    _run(world, bucket)


def frozen(world: World, bucket: str) -> None:
    """A Close died before it let go of what it had frozen: the changes are owned twice."""
    world.table.dies = lambda operation, _key: operation == "delete"
    _run(world, bucket)


def resolved(world: World, bucket: str) -> None:
    """It is known which distributions the batch owes to."""
    world.run("leader", _events(bucket), until="resolve_distributions")


def created(world: World, bucket: str) -> None:
    """Both invalidations exist, and the second one's record was never written."""
    second = f"INVALIDATION#{DISTRIBUTIONS[1]}"
    world.table.dies = lambda operation, key: operation == "put" and key.sk.startswith(second)
    _run(world, bucket)


def owed(world: World, bucket: str) -> None:
    """One distribution failed for a passing reason, and is due again later."""
    world.edge.fails = {DISTRIBUTIONS[1]: CloudFrontUnavailable("CloudFront answered 503")}
    _run(world, bucket)


def parked(world: World, bucket: str) -> None:
    """One distribution waits for somebody."""
    world.edge.fails = {DISTRIBUTIONS[1]: AccessDenied("allow cloudfront:CreateInvalidation")}
    _run(world, bucket)


def ended(world: World, bucket: str) -> None:
    """Nothing is owed: the record is the audit's."""
    _run(world, bucket)


def paused(world: World, bucket: str) -> None:
    """Somebody lets the changes wait."""
    pause(world.table, bucket)
    _run(world, bucket)


def by_hand(world: World, bucket: str) -> None:
    """A request of keys, accepted."""
    world.run("request", {"bucket": bucket, "keys": list(KEYS)}, until="join_batch")


def of_paths(world: World, bucket: str) -> None:
    """A request of a distribution's paths, accepted; there is no bucket."""
    del bucket
    paths = ["/index.html", "/wir%20%C3%BCber%20uns.html"]
    world.run("request", {"distributionId": DISTRIBUTIONS[0], "paths": paths}, until="join_batch")


class Buckets:
    """Buckets that send no events yet; which of them were switched off."""

    def __init__(self) -> None:
        self.off: list[str] = []

    def enable(self, bucket: str) -> Switched:
        return Switched(bucket, {}, {EVENT_BRIDGE: {}})

    def disable(self, bucket: str) -> Switched:
        self.off.append(bucket)
        return Switched(bucket, {EVENT_BRIDGE: {}}, {})


def remembered(world: World, bucket: str) -> None:
    """SkipUnchanged remembers what was there; and whose switch the bucket's events are."""
    world.setting("join_batch", "SETTINGS", Settings(skip_unchanged=True))
    WatchedBuckets(cast("BucketEvents", Buckets()), world.table, timeout=0).watch([bucket])
    _run(world, bucket)


OF_EVENTS: tuple[Stage, ...] = (pending, gathering, closed, frozen, resolved, created, owed, parked, ended, paused)
STAGES = {each.__name__.replace("_", "-"): each for each in (*OF_EVENTS, by_hand, of_paths, remembered)}


@dataclass(frozen=True, slots=True)
class Golden:
    """What a stage left behind, and when."""

    stage: str
    now: datetime
    items: tuple[Item, ...]
    cloudfront: dict[str, dict[str, Any]]

    @property
    def bucket(self) -> str:
        return f"site-{self.stage}"

    def table(self) -> MortalTable:
        table = MortalTable()
        for item in self.items:
            table.put(item)
        return table

    def edge(self) -> Edge:
        return Edge(json.loads(json.dumps(self.cloudfront)))

    def dumped(self) -> str:
        """As a file holds it."""
        known = {"now": self.now.isoformat(), "cloudfront": self.cloudfront, "items": list(self.items)}
        return json.dumps(known, indent=1, sort_keys=True, default=_bytes, ensure_ascii=False) + "\n"


def _bytes(value: bytes) -> dict[str, str]:
    return {"base64": base64.b64encode(value).decode()}


def _from_bytes(found: dict[str, Any]) -> Any:
    return base64.b64decode(found["base64"]) if found.keys() == {"base64"} else found


def load(form: int, stage: str) -> Golden:
    return parsed(stage, (RECORDS / f"v{form}" / f"{stage}.json").read_text(encoding="utf-8"))


def parsed(stage: str, text: str) -> Golden:
    """The contrary of ``dumped``."""
    known = json.loads(text, object_hook=_from_bytes)
    return Golden(stage, datetime.fromisoformat(known["now"]), tuple(known["items"]), known["cloudfront"])


def record(make: Callable[[MortalTable, Edge, datetime], World], stage: str) -> Golden:
    """Live a stage, and die at its end."""
    world = make(MortalTable(), Edge(), START)
    STAGES[stage](world, f"site-{stage}")
    return Golden(stage, world.now, tuple(world.table.items()), world.edge.created)


def _events(bucket: str) -> list[dict[str, Any]]:
    return [event(bucket, key) for key in KEYS]


def _run(world: World, bucket: str) -> None:
    with suppress(Died):
        world.run("leader", _events(bucket))


def main() -> None:
    folder = RECORDS / f"v{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    with worlds() as make:
        for stage in STAGES:
            (folder / f"{stage}.json").write_text(record(make, stage).dumped(), encoding="utf-8")


if __name__ == "__main__":
    main()
