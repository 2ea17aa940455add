"""Each verdict of `invalidations explain URL` on the local edge (excluded: test_local_parameters)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from invalidations_cli.local import readings
from invalidations_cli.local.environment import LocalEnvironment
from tests.local import tools
from tests.local.instruments import faults
from tests.local.instruments.faults import Fault
from tests.local.test_local_health import events_off
from tests.local.test_local_operate import forbidden, invalidations

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("local")]


def put(there: LocalEnvironment, key: str, body: str) -> None:
    there.aws.client("s3").put_object(Bucket=there.bucket, Key=key, Body=body.encode(), ContentType="text/html")


def explained(there: LocalEnvironment, path: str) -> dict[str, Any]:
    result = invalidations(there, "explain", f"https://{there.distribution_domain}/{path}", "--json")
    found: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (0 if found["verdict"] == "fresh" else 1)
    return found


PAGES = [f"page/{name}.html" for name in ("fresh", "stale", "busy", "kept", "parked")]


@pytest.fixture(scope="module", autouse=True)
def published(local: LocalEnvironment) -> None:
    """The pages are in the bucket, and the edge holds them."""
    for key in PAGES:
        put(local, key, "one")
    tools.eventually(lambda: all("batch" in explained(local, key) for key in PAGES), 60)
    assert invalidations(local, "wait", "--bucket", local.bucket, "--quiet", "2").exit_code == 0
    for key in PAGES:
        readings.view(local, key)
    time.sleep(1.1)  # S3 dates objects in whole seconds


@contextmanager
def faulty(there: LocalEnvironment, fault: Fault) -> Iterator[None]:
    faults.order(there.endpoint, [fault])
    try:
        yield
    finally:
        faults.order(there.endpoint, [])


def fixed(there: LocalEnvironment, command: str, key: str) -> None:
    """The command that was printed makes the page fresh."""
    result = invalidations(there, *command.splitlines()[-1].split()[1:])
    assert result.exit_code == 0, result.output
    readings.view(there, key)
    assert explained(there, key)["verdict"] == "fresh"


def test_a_page_that_was_invalidated_is_fresh_and_its_batch_is_named(local: LocalEnvironment) -> None:
    found = explained(local, "page/fresh.html")
    assert (found["verdict"], found["bucket"], found["key"]) == ("fresh", local.bucket, "page/fresh.html")
    assert (found["distributionId"], found["edge"]["status"]) == (local.distribution_id, 200)
    assert found["edge"]["etag"] == found["stored"]["etag"]
    assert found["batch"]["outcome"] == "Completed"
    assert (
        found["batch"]["opened"] < found["invalidationCompleted"].replace("+00:00", "Z") <= found["batch"]["finished"]
    )


def test_a_page_whose_change_nobody_told_of_is_stale_and_the_cut_is_named(local: LocalEnvironment) -> None:
    with events_off(local):
        put(local, "page/stale.html", "two")
        found = explained(local, "page/stale.html")
    assert (found["verdict"], [each["check"] for each in found["cut"]]) == ("stale-never-told", ["Bucket sends events"])
    assert found["command"].splitlines()[0] == f"invalidations bucket enable {local.bucket}"
    assert "Hit" in found["edge"]["xCache"]
    fixed(local, found["command"], "page/stale.html")


def test_a_page_whose_invalidation_waits_for_room_is_being_invalidated(local: LocalEnvironment) -> None:
    full = Fault("full", "request", "cloudfront:CreateInvalidation", code="TooManyInvalidationsInProgress", status=400)
    with faulty(local, full):
        put(local, "page/busy.html", "two")
        assert tools.eventually(lambda: explained(local, "page/busy.html")["verdict"] == "stale-being-invalidated", 60)
        found = explained(local, "page/busy.html")
    assert found["why"] == "stale, and being invalidated"
    fixed(local, found["command"], "page/busy.html")


def test_a_page_that_stays_stale_although_it_was_invalidated_says_so(local: LocalEnvironment) -> None:
    with faulty(local, Fault("kept", "edge", local.distribution_id)):
        put(local, "page/kept.html", "two")
        assert tools.eventually(
            lambda: explained(local, "page/kept.html")["verdict"] == "stale-although-invalidated", 60
        )
        found = explained(local, "page/kept.html")
    assert found["batch"]["outcome"] == "Completed"
    assert found["stored"]["lastModified"] < found["invalidationCompleted"]
    fixed(local, found["command"], "page/kept.html")


def test_a_page_whose_batch_is_parked_says_so_and_a_retry_makes_it_fresh(local: LocalEnvironment) -> None:
    with forbidden(local, "CreateInvalidationFunction", "cloudfront:CreateInvalidation"):
        put(local, "page/parked.html", "two")
        assert tools.eventually(
            lambda: explained(local, "page/parked.html")["verdict"] == "stale-invalidation-failed", 60
        )
        found = explained(local, "page/parked.html")
    assert found["command"].startswith(f"invalidations retry {found['batch']['batchId']}")
    fixed(local, f"{found['command']} --wait", "page/parked.html")


def test_an_address_that_the_stack_does_not_serve_is_told(local: LocalEnvironment) -> None:
    result = invalidations(local, "explain", "https://www.example.com/index.html")
    assert result.exit_code == 1
    assert "not-served-by-this-stack: no distribution of this account answers to www.example.com" in result.stdout
