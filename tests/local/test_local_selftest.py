"""`invalidations selftest` on the local AWS: whole, and with each link of the chain cut."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from invalidations_cli.local.environment import LocalEnvironment
from tests.local.test_local_health import events_off, rule_disabled
from tests.local.test_local_operate import invalidations

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("local")]

ARGUMENTS = ("--yes", "--json", "--timeout", "60")


def selftest(there: LocalEnvironment, *options: str) -> tuple[Result, dict[str, Any]]:
    result = invalidations(there, "selftest", "--bucket", there.bucket, *ARGUMENTS, *options)
    return result, json.loads(result.stdout)


def fails(report: dict[str, Any]) -> list[str]:
    return [each["name"] for each in report["tried"] if each["answer"] == "fails"]


def left(there: LocalEnvironment) -> list[str]:
    listed = there.aws.client("s3").list_objects_v2(Bucket=there.bucket, Prefix="invalidations-selftest/")
    return [each["Key"] for each in listed.get("Contents", [])]


def test_a_whole_chain_is_followed_to_the_edge_for_every_kind_of_key_and_nothing_is_left(
    local: LocalEnvironment,
) -> None:
    result, report = selftest(local)
    assert (result.exit_code, fails(report)) == (0, []), result.output
    assert report["works"]
    puts = [each for each in report["changes"] if each["change"] == "put"]
    assert all(each["keyInEvent"] == each["key"] for each in puts)
    seconds = [each["seconds"] for each in report["changes"] if "edge" in each["seconds"]]
    assert len(seconds) == 14
    for each in seconds:
        assert each["event"] <= each["execution"] <= each["invalidation"] <= each["completion"] <= each["edge"]
    assert left(local) == []


@pytest.mark.parametrize(
    ("cut", "name"), [(rule_disabled, "Rule is enabled"), (events_off, "Bucket sends events")], ids=["rule", "events"]
)
def test_a_cut_chain_is_named_before_anything_is_written(
    local: LocalEnvironment, cut: Callable[[LocalEnvironment], Any], name: str
) -> None:
    with cut(local):
        result, report = selftest(local)
    assert (result.exit_code, fails(report), report["changes"]) == (1, [name], [])
