"""`invalidations audit`: what it finds, in which order, how little it reads, and how it shows it."""

import csv
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from click.testing import Result

from invalidation.batches.finish import Failure, RetryPolicy, finish
from invalidation.batches.head import Execution
from invalidation.batches.join import open_own_batch, open_paths_batch
from invalidation.batches.model import Batch
from invalidation.batches.snapshot import chunk_key
from invalidation.batches.table import BUCKETS, Key, Page
from invalidation.batches.targets import freeze_targets
from invalidation.cloudfront.rules import Widening
from invalidation.events import Change
from invalidations_cli.audit_query import AuditQuery, ask
from invalidations_cli.backlog import known_buckets
from invalidations_cli.commands.audit import COLUMNS, audit
from tests.fakes.memory_table import MemoryTable
from tests.fakes.stack import EXECUTION, HOSTILE, SHOWN_HOSTILE, START, World
from tests.outcome_schemas import faults

HOUR = timedelta(hours=1)
PATHS_OF = "E2BBBBBBBBBBBB"
DENIED = Failure("AccessDenied", "CloudFront refused it: allow cloudfront:CreateInvalidation")


@pytest.fixture
def world() -> World:
    return World()


def found(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def ids(world: World, *options: str) -> list[str]:
    return [each["batchId"] for each in found(world.run(audit, "--json", *options))]


def rows(result: Result) -> list[dict[str, str]]:
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(result.stdout.splitlines()))


def request_of_paths(world: World, at: timedelta) -> str:
    """A request of paths of which nobody knows yet to whom it owes."""
    execution = Execution(f"{EXECUTION}by-hand", START + at)
    return open_paths_batch(world.table, PATHS_OF, ["/a", "/b"], execution, lambda: START + at, "1").batch_id


def test_batches_of_all_buckets_come_newest_first(world: World) -> None:
    world.parameters["BucketNames"] = "site, blog"
    expected = [world.batch(bucket="blog" if number % 3 else "site", at=START + number * HOUR) for number in range(7)]
    expected.append(request_of_paths(world, 9 * HOUR))
    assert ids(world) == expected[::-1]


def test_buckets_are_those_that_are_watched_and_those_that_ever_had_a_change(world: World) -> None:
    world.table.ensure(Key(BUCKETS, "gone"))
    assert known_buckets(world.table, ("site", "blog")) == ("blog", "gone", "site")


def test_a_bucket_that_is_not_watched_any_more_is_audited_still(world: World) -> None:
    world.table.ensure(Key(BUCKETS, "gone"))
    gone = world.batch(bucket="gone")
    assert ids(world) == [gone]


def test_a_bucket_that_only_ever_had_requests_by_hand_is_audited_too(world: World) -> None:
    execution = Execution(f"{EXECUTION}by-hand", START)
    changes = [Change("elsewhere", "a.html", "event")]
    joined = open_own_batch(world.table, "elsewhere", changes, execution, lambda: START, "1")
    assert ids(world) == [joined.batch_id]


def test_a_request_of_paths_is_found_by_its_distribution_once_whether_or_not_it_came_to_be_resolved(
    world: World,
) -> None:
    resolved, unresolved = request_of_paths(world, HOUR), request_of_paths(world, 2 * HOUR)
    freeze_targets(world.table, Batch.read(world.table, resolved), {PATHS_OF: {}})
    changed = world.batch(at=START + 3 * HOUR, distribution=PATHS_OF)
    other = world.batch(at=START + 4 * HOUR)
    assert ids(world, "--distribution", PATHS_OF) == [changed, unresolved, resolved]
    assert ids(world, "--distribution", "E1AAAAAAAAAAAA") == [other]
    assert ids(world) == [other, changed, unresolved, resolved]


def test_a_request_of_paths_that_failed_before_it_was_resolved_is_found(world: World) -> None:
    identity = request_of_paths(world, HOUR)
    failure = Failure("NoSuchDistribution", "there is none")
    execution = Execution(f"{EXECUTION}by-hand", START + HOUR)
    finish(world.table, identity, execution, [], failure, lambda: START + HOUR, RetryPolicy(), timedelta(days=400))
    for options in ([], ["--distribution", PATHS_OF], ["--outcome", "Failed"]):
        assert ids(world, *options) == [identity]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--bucket", "site"], [4, 2, 0]),
        (["--bucket", "nothing"], []),
        (["--distribution", "E9"], [3, 2]),
        (["--distribution", "E9", "--bucket", "site"], [2]),
        (["--since", "2026-11-23T08:00"], [4, 3, 2]),
        (["--until", "2026-11-23T08:00:00Z"], [2, 1, 0]),
        (["--since", "2026-11-23T07:00", "--until", "2026-11-23T08:00"], [2, 1]),
        (["--until", "2026-11-23"], [4, 3, 2, 1, 0]),
        (["--until", "2026-11-22"], []),
        (["--outcome", "failed"], [3]),
        (["--outcome", "NothingToInvalidate"], [1]),
        (["--outcome", "InProgress"], [4]),
        (["--limit", "2"], [4, 3]),
        (["--limit", "0"], [4, 3, 2, 1, 0]),
        (["--bucket", "site", "--key", "two.html"], [2]),
        (["--bucket", "site", "--key", "none.html"], []),
    ],
)
def test_filters_narrow_it_down(world: World, options: list[str], expected: list[int]) -> None:
    world.parameters["BucketNames"] = "site,blog"
    batches = [
        world.batch(),
        world.batch(bucket="blog", at=START + HOUR, paths=0),
        world.batch(["one.html", "two.html"], at=START + 2 * HOUR, distribution="E9"),
        world.batch(bucket="blog", at=START + 3 * HOUR, failure=DENIED, distribution="E9"),
        world.batch(at=START + 4 * HOUR, ends=False),
    ]
    assert ids(world, *options) == [batches[number] for number in expected]


def test_a_key_is_found_in_the_list_where_the_sample_does_not_hold_it(world: World) -> None:
    many = world.batch([f"{number}.html" for number in range(40)])
    world.batch(["other.html"], at=START + HOUR)
    assert ids(world, "--bucket", "site", "--key", "37.html") == [many]


def test_a_list_that_has_expired_ends_nothing(world: World) -> None:
    expired = world.batch([f"{number}.html" for number in range(40)])
    older = world.batch(["37.html"], at=START - HOUR)
    world.table.delete_all([chunk_key(expired, "1", 1)])
    assert ids(world, "--bucket", "site", "--key", "37.html") == [older]


@pytest.mark.parametrize(
    "options",
    [
        ["--key", "a.html"],
        ["--since", "yesterday"],
        ["--outcome", "Rejected"],
        ["--since", "2026-11-23", "--until", "2026-11-22"],
        ["--json", "--csv"],
        ["--limit", "-1"],
    ],
)
def test_wrong_usage_ends_with_2(world: World, options: list[str]) -> None:
    assert world.run(audit, *options).exit_code == 2


def test_a_mistyped_outcome_is_answered_with_the_names_as_they_are_shown(world: World) -> None:
    told = world.run(audit, "--outcome", "nope").output
    assert "'nope' is no outcome: it is one of Completed, NothingToInvalidate, NoDistribution" in told
    assert world.run(audit, "--outcome", "partlyfailed").exit_code == 0


class Counting(MemoryTable):
    """Counts how many items its answers had, in pages as small as DynamoDB's may be."""

    read = 0

    def _request(self, operation: str, key: Any, effect: Any) -> Any:
        answer = super()._request(operation, key, effect)
        self.read += len(answer.items) if isinstance(answer, Page) else 1
        return answer


def test_it_reads_no_more_than_it_shows_and_a_page(world: World) -> None:
    world.table = Counting(page_size=10)
    for number in range(300):
        world.batch(at=START + number * HOUR)
    world.table.read = 0
    assert len(ids(world, "--limit", "5")) == 5
    assert world.table.read < 120


def test_entries_are_read_as_they_are_taken(world: World) -> None:
    world.table = Counting(page_size=10)
    for number in range(100):
        world.batch(at=START + number * HOUR)
    world.table.read = 0
    entries: Iterator[Any] = ask(world.table, AuditQuery(bucket="site"), (), lambda _batch: None)
    next(entries)
    assert world.table.read < 30


def test_all_pages_are_read_when_all_are_asked_for(world: World) -> None:
    world.table = MemoryTable(page_size=7)
    expected = [world.batch(at=START + number * HOUR) for number in range(40)]
    assert ids(world, "--limit", "0") == expected[::-1]
    assert ids(world, "--limit", "0", "--distribution", "E1AAAAAAAAAAAA") == expected[::-1]


def test_json_tells_who_changed_what_what_was_invalidated_where_and_what_it_cost(world: World) -> None:
    identity = world.batch(["a.html", "b.html"], paths=12, deleted=True, widened=(Widening("/css/*", 120, 3),))
    (entry,) = found(world.run(audit, "--json"))
    assert entry["batchId"] == identity
    assert (entry["bucket"], entry["outcome"], entry["changes"], entry["deleted"]) == ("site", "Completed", 2, 2)
    assert entry["requesters"] == [{"requester": "111122223333", "sourceIp": "192.0.2.7", "changes": 2}]
    assert (entry["opened"], entry["finished"]) == ("2026-11-23T06:00:00.000000Z", "2026-11-23T06:00:12.000000Z")
    assert (entry["seconds"], entry["price"]) == (12, 0.06)
    assert faults("outcome", entry) == []
    (target,) = entry["targets"]
    assert (target["paths"], target["wildcards"]) == (12, 1)
    assert (target["distributionId"], target["state"], target["seconds"]) == ("E1AAAAAAAAAAAA", "COMPLETED", 9)
    assert target["widened"] == [{"path": "/css/*", "asked": 120, "unchanged": 3}]
    (invalidation,) = target["invalidations"]
    assert (invalidation["invalidationId"], invalidation["paths"]) == ("I0000000000001", 12)
    assert entry["execution"] == f"{EXECUTION}run-1"


def test_people_see_the_same(world: World) -> None:
    identity = world.batch(["a.html", "b.html"], paths=12, deleted=True, widened=(Widening("/css/*", 120, 3),))
    world.batch(at=START + HOUR, failure=DENIED)
    result = world.run(audit)
    for text in (
        *(identity, "2026-11-23 06:00:00", "site", "a.html", "b.html", "2 of 2 deleted", "111122223333", "192.0.2.7"),
        *("E1AAAAAAAAAAAA", "12 paths", "I0000000000001", "/css/* for 120", "Completed", "12 s", "≤ $0.060"),
        *("Failed", "AccessDenied", "parked"),
        "2 batches, 12 paths: at most $0.060, as if the month's 1,000 free paths were used up.",
    ):
        assert text in result.output


def test_people_see_how_to_go_on_where_there_may_be_more(world: World) -> None:
    for number in range(3):
        world.batch(at=START + number * HOUR)
    output = world.run(audit, "--limit", "2").output
    assert "go on with --until 2026-11-23T07:00:00Z" in output
    assert "go on" not in world.run(audit, "--limit", "4").output


def test_nothing_found_is_said_and_is_no_failure(world: World) -> None:
    assert world.run(audit).output.strip() == "No batch matches."
    assert world.run(audit, "--json").output == ""
    assert rows(world.run(audit, "--csv")) == []


def test_csv_has_a_row_for_each_batch(world: World) -> None:
    world.batch(["a.html", "b.html"], paths=12)
    (row,) = rows(world.run(audit, "--csv"))
    assert tuple(row) == COLUMNS
    assert (row["sample"], row["requesters"]) == ("a.html | b.html", "111122223333 192.0.2.7 (2)")
    assert (row["distributions"], row["invalidations"], row["max_dollars"]) == (
        "E1AAAAAAAAAAAA",
        "I0000000000001",
        "0.060",
    )


def test_a_hostile_key_is_shown_and_nothing_of_it_is_obeyed(world: World) -> None:
    world.batch([HOSTILE])
    world.batch(["=HYPERLINK(1)"], at=START + HOUR)
    people, machine, sheet = world.run(audit), world.run(audit, "--json"), world.run(audit, "--csv")
    for result in (people, sheet):
        assert "\x1b" not in result.output
        assert "\u202e" not in result.output
    assert SHOWN_HOSTILE in people.output
    assert SHOWN_HOSTILE in sheet.output
    assert [entry["sample"] for entry in found(machine)] == [["=HYPERLINK(1)"], [HOSTILE]]
    assert rows(sheet)[0]["sample"] == "'=HYPERLINK(1)"


def test_a_long_key_is_cut_for_people_only(world: World) -> None:
    key = "x" * 1_024
    world.batch([key])
    assert key[:59] + "…" in world.run(audit).output
    assert found(world.run(audit, "--json"))[0]["sample"] == [key]


def test_requests_say_so_and_count_their_paths(world: World) -> None:
    request_of_paths(world, HOUR)
    output = world.run(audit).output
    for text in ("paths of E2BBBBBBBBBBBB", "a request", "InProgress", "1 batch, 0 paths"):
        assert text in output


def test_a_dry_run_says_what_was_planned_and_has_no_price(world: World) -> None:
    world.batch(paths=4, dry_run=True)
    output = world.run(audit).output
    for text in ("DryRun", "4 paths planned", "1 batch, 0 paths: at most $0.000"):
        assert text in output


def test_what_cannot_have_cost_anything_has_no_price(world: World) -> None:
    world.batch(paths=0)
    output = world.run(audit).output
    assert "nothing sent" in output
    assert "≤" not in output
    assert "price" not in found(world.run(audit, "--json"))[0]


@pytest.mark.parametrize("columns", [40, 80, 100, 119, 120, 200])
def test_ids_are_whole_however_narrow_the_terminal_is(
    world: World, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    identity = world.batch(keys=[f"{'long-folder/' * 9}{number}.html" for number in range(4)], distribution="E" * 14)
    output = world.run(audit).output
    for whole in (identity, "E" * 14, "I0000000000001", "111122223333"):
        assert whole in output, whole
    assert "and 1 more" in output


def test_a_narrow_terminal_gets_a_block_for_each_batch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    identity = world.batch(keys=["a.html"])
    block = world.run(audit, "--limit", "1").output.split("\n\n")[0].splitlines()
    assert block[0].startswith(f"{identity}  2026-11-23 ")
    assert [line.strip() for line in block[1:4]] == ["site", "a.html", "111122223333"]
    assert all(line.startswith("  ") for line in block[1:])
