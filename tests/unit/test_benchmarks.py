"""The cost model counts what would happen: held against moto, the definition, and the documentation's own examples."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree as ET

import pytest

from benchmarks import baseline, growth, months, sites
from benchmarks.calibration import Calibration
from benchmarks.chart import chart
from benchmarks.cloud import dynamodb
from benchmarks.cloud.account import BUCKET, Account
from benchmarks.cloud.usage import HOURS_A_MONTH, Meter, Usage
from benchmarks.deploys import covered
from benchmarks.prices import PRICES, besides_paths, bill, total
from benchmarks.rivals import Rival
from benchmarks.sites import SITES, deploy
from tests.definition import ROOT, rendered, transitions
from tests.statemachine import stack as stacks

pytestmark = pytest.mark.slow

POLLS = 2
"""GetInvalidation calls that find an invalidation in progress: what 15 seconds come to."""
LINES = 2_000
"""That the model may have."""
FREE = Calibration(calls={"dynamodb:GetItem": 0.0}, items={}, init={})
FOLLOWED = ("Join Batch", "Leads The Batch?", "Joined Open Batch")


@pytest.mark.parametrize(("objects", "serving"), [(1, 1), (40, 1), (1, 3)])
def test_the_walk_enters_the_states_that_moto_enters_for_the_same_changes(objects: int, serving: int) -> None:
    keys = [f"assets/{number}.js" for number in range(objects)]
    account = Account(serving=serving)
    account.clock.begin(account.machine.execution([account.event(key) for key in keys]))
    account.clock.run()
    (walked,) = account.machine.executions
    with stacks.deployed() as stack:
        stack.edge.polls = POLLS
        for _ in range(serving):
            stack.distribution(BUCKET)
        ran = stack.run([account.event(key) for key in keys])
    assert Counter(walked.states) == Counter(ran.states)
    assert Counter(walked.history.kinds) == Counter(event["type"] for event in ran.history)
    assert account.usage[Meter.TRANSITIONS] == len(ran.states)
    if serving == 1:
        assert tuple(walked.states) == ran.states
    assert walked.output["outcome"].keys() == ran.output["outcome"].keys()


def test_the_walk_takes_only_transitions_that_the_definition_has() -> None:
    account = Account()
    account.change([f"{number}.html" for number in range(50)], 100)
    allowed = set(transitions(rendered()))
    for execution in account.machine.executions:
        assert set(zip(execution.states, execution.states[1:], strict=False)) <= allowed | {
            ("Distribution Invalidated", "Finish Batch")  # out of the Map
        }
    assert [tuple(each.states) for each in account.machine.executions].count(FOLLOWED) == 48, "one by itself, one leads"
    assert account.usage[Meter.TRANSITIONS] == sum(len(each.states) for each in account.machine.executions)


@pytest.mark.parametrize("buffered", [False, True])
def test_every_change_is_invalidated_and_the_table_holds_nothing_pending(*, buffered: bool) -> None:
    account = Account()
    keys = [f"docs/{number}.html" for number in range(300)]
    account.change(keys, 100, buffered=buffered)
    assert covered(keys, [path for each in account.cloudfront.created for path in each.paths]) == len(keys)
    pending = [account.table.query(_pending(shard))["Count"] for shard in range(16)]
    assert pending == [0] * 16


def _pending(shard: int) -> dict[str, object]:
    return {"ExpressionAttributeValues": {":pk": {"S": f"PENDING#{BUCKET}#{shard:x}"}}}


def test_each_module_that_stands_for_aws_says_in_its_first_line_that_it_is_a_model() -> None:
    modules = [*(ROOT / "benchmarks" / "cloud").glob("*.py")]
    assert modules
    assert [each.name for each in modules if "model" not in each.read_text().partition("\n")[0]] == []
    assert sum(len(each.read_text().splitlines()) for each in modules) <= LINES


def test_two_simulations_of_the_same_deploy_count_the_same() -> None:
    counted = []
    for _ in range(2):
        account = Account()
        account.change(deploy("documentation", 50).changed, 100)
        counted.append((account.usage.metered, account.usage.calls, account.clock.seconds))
    assert counted[0] == counted[1]


def test_the_second_change_of_a_bucket_finds_warm_functions_and_a_remembered_list_of_distributions() -> None:
    account = Account(pages=5)
    account.change(["a.html"], 1)
    calls, cold = account.usage.calls.copy(), account.usage.cold_starts
    account.change(["b.html"], 1)
    assert account.usage.cold_starts == cold
    assert (account.usage.calls - calls)["cloudfront:ListDistributions"] == 0
    assert calls["cloudfront:ListDistributions"] == 5


def test_after_quiet_minutes_all_is_cold_and_the_table_still_has_the_distributions_configuration() -> None:
    account = Account()
    account.change(["a.html"], 1)
    calls, cold = account.usage.calls.copy(), account.usage.cold_starts
    account.functions.stop_idle_workers()
    account.change(["b.html"], 1, after=1_200)
    again = account.usage.calls - calls
    assert account.usage.cold_starts == 2 * cold
    assert (again["cloudfront:ListDistributions"], again["cloudfront:GetDistributionConfig"]) == (1, 0)
    assert calls["cloudfront:GetDistributionConfig"] == 1


def test_every_meter_has_a_price_with_a_source() -> None:
    assert set(PRICES) == set(Meter)
    assert all(price.source and price.dollars > 0 for price in PRICES.values())


def test_a_bill_is_the_sum_of_amounts_times_prices() -> None:
    usage = Usage()
    usage.add(Meter.PATHS, 10)
    usage.add(Meter.TRANSITIONS, 30_000)
    usage.emitted |= {("Changes", 0), ("Changes", 1)}
    assert bill(usage) == pytest.approx(
        {Meter.PATHS: 0.05, Meter.TRANSITIONS: 0.75, Meter.METRIC_MONTHS: 2 * 0.30 / HOURS_A_MONTH}
    )
    assert total(usage) == pytest.approx(0.80 + 0.60 / HOURS_A_MONTH)
    assert besides_paths(usage) == pytest.approx(total(usage) - 0.05)


def test_an_idle_month_has_the_alarms_the_key_the_sweeps_and_no_custom_metric() -> None:
    month = months.idle_month(FREE)
    assert month[Meter.LAMBDA_REQUESTS] == pytest.approx(HOURS_A_MONTH * 12)
    assert (month[Meter.KEY_MONTHS], month[Meter.METRIC_MONTHS], month[Meter.PATHS]) == (1, 0, 0)
    assert month[Meter.ALARM_MONTHS] > 0


@pytest.mark.parametrize(("size", "reads", "writes"), [(0, 1, 1), (1024, 1, 1), (1025, 1, 2), (4097, 2, 5)])
def test_units_are_those_of_dynamodbs_documentation(size: int, reads: int, writes: int) -> None:
    assert (dynamodb.read_units(size), dynamodb.write_units(size)) == (reads, writes)


def test_an_items_size_is_names_and_values() -> None:
    item = {"pk": {"S": "ü"}, "n": {"N": "12"}, "b": {"B": b"123"}, "t": {"BOOL": True}, "l": {"L": [{"S": "a"}]}}
    assert dynamodb.size_of(item) == (2 + 2) + (1 + 3) + (1 + 3) + (1 + 1) + (1 + 3 + 2)


@pytest.mark.parametrize("site", SITES)
def test_a_deploy_is_the_same_each_time_and_changes_what_it_says(site: str) -> None:
    made = deploy(site, 200)
    assert made == deploy(site, 200)
    assert len(set(made.changed)) == 200
    assert len(made.unchanged) == pytest.approx(sites.SMALLEST - 200, rel=0.02)
    assert not set(made.changed) & set(made.unchanged)


@pytest.mark.parametrize("site", SITES)
def test_hardly_any_folder_that_a_deploy_rebuilds_is_rebuilt_in_full(site: str) -> None:
    made = deploy(site, 1_000)
    folders = {key.rpartition("/")[0] for key in made.changed}
    assert any(key.rpartition("/")[0] in folders for key in made.unchanged)
    assert len(deploy(site, 10_000).unchanged) == pytest.approx(17_000, rel=0.02)


def test_a_path_covers_its_key_and_a_wildcard_all_that_begin_with_it() -> None:
    keys = ["a.html", "docs/a.html", "docs/b.html", "docs.html"]
    assert covered(keys, ["/a.html", "/docs/*"]) == 3
    assert covered(keys, ["/*"]) == 4
    assert covered(keys, ["/docs", "/b.html"]) == 0


def test_the_baseline_lists_and_invalidates_for_each_object() -> None:
    rival = Rival(baseline.handler, pages=3)
    rival.change(["a b.html", "c.html"], 0.1)
    assert [each.paths for each in rival.cloudfront.created] == [("/a b.html",), ("/c.html",)]
    assert len({each.reference for each in rival.cloudfront.created}) == 2
    assert rival.usage.calls["cloudfront:ListDistributions"] == 6
    assert rival.usage.cold_starts == 1


def test_the_baseline_of_everything_pays_for_each_wildcard() -> None:
    rival = Rival(baseline.handler_of_everything)
    rival.change(["a.html", "b.html"], 1)
    assert [each.paths for each in rival.cloudfront.created] == [("/*",), ("/*",)]
    assert (rival.usage[Meter.PATHS], rival.usage.wildcards) == (2, 2)


def test_the_baseline_loses_changes_when_cloudfront_has_its_limits() -> None:
    rival = Rival(baseline.handler, limited=True)
    rival.change([f"{number}.html" for number in range(60)], 100)
    assert rival.lost == 60 - len(rival.cloudfront.created) > 0


def test_steepness_tells_linear_from_quadratic_growth() -> None:
    assert growth.steepness([(1, 5), (10, 50), (100, 500)]) == pytest.approx(1)
    assert growth.steepness([(1, 1), (10, 10), (100, 1_000)]) == pytest.approx(2)


def test_the_chart_is_xml_that_names_each_line_and_says_where_it_ends() -> None:
    drawn = chart("A & B", "objects", {"ours": [(1, 0.005), (100, 0.03)], "<theirs>": [(1, 1), (100, 50)]})
    picture = ET.fromstring(drawn)  # noqa: S314 # our own
    texts = {element.text for element in picture.iter() if element.text}
    assert {"A & B", "objects", "ours", "<theirs>"} <= texts
    assert picture.attrib["aria-label"].endswith("ours: $0.03; <theirs>: $50")


def test_a_queue_is_read_when_its_window_is_over_and_sends_what_it_gathered_in_one_invalidation() -> None:
    rival = Rival(baseline.handler_of_batches, window=5.0)
    rival.change([f"docs/{number}.html" for number in range(20)], 2)
    sizes = [len(each.paths) for each in rival.cloudfront.created]
    assert sizes == [11, 9]
    assert min(rival.created) > 5


def test_a_queue_with_more_than_a_months_free_paths_invalidates_everything() -> None:
    rival = Rival(baseline.handler_of_batches, window=5.0)
    rival.change([f"docs/{number}.html" for number in range(1_001)], 1_000)
    assert [each.paths for each in rival.cloudfront.created] == [("/*",)]


def test_one_name_that_cloudfront_refuses_takes_a_whole_batch_with_it() -> None:
    rival = Rival(baseline.handler_of_batches, window=5.0)
    rival.change(["a.html", "b~1.html", "c.html"], 10)
    assert (rival.cloudfront.created, rival.lost) == ([], 3)


def test_what_is_encoded_otherwise_than_documented_is_not_covered() -> None:
    assert covered(["a b.html", "c+d.html", "e (2).html"], ["/a%20b.html", "/c%2Bd.html", "/e%20%282%29.html"]) == 1
    assert covered(["a~1.html"], ["/a~1.html", "/a%7E1.html"]) == 0
    assert covered(["a~1.html"], ["/a*"]) == 1
