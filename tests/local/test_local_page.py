"""`invalidations explain URL` on the local edge: fresh, never told of, not served (excluded: test_local_parameters)."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from invalidations_cli.local import readings
from invalidations_cli.local.environment import LocalEnvironment
from tests.local import tools
from tests.local.test_local_health import events_off
from tests.local.test_local_operate import invalidations

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("local")]


def put(there: LocalEnvironment, key: str, body: str) -> None:
    there.aws.client("s3").put_object(Bucket=there.bucket, Key=key, Body=body.encode(), ContentType="text/html")


def explained(there: LocalEnvironment, path: str) -> dict[str, Any]:
    result = invalidations(there, "explain", f"https://{there.distribution_domain}/{path}", "--json")
    found: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (0 if found["verdict"] == "fresh" else 1)
    return found


def test_a_page_that_was_invalidated_is_fresh_and_its_batch_is_named(local: LocalEnvironment) -> None:
    put(local, "page/fresh.html", "one")
    tools.eventually(lambda: "batch" in explained(local, "page/fresh.html"), 60)
    invalidations(local, "wait", "--bucket", local.bucket, "--quiet", "2")
    readings.view(local, "page/fresh.html")
    found = explained(local, "page/fresh.html")
    assert (found["verdict"], found["bucket"], found["key"]) == ("fresh", local.bucket, "page/fresh.html")
    assert (found["distributionId"], found["edge"]["status"]) == (local.distribution_id, 200)
    assert found["edge"]["etag"] == found["stored"]["etag"]
    assert found["batch"]["outcome"] == "Completed"


def test_a_page_whose_change_nobody_told_of_is_stale_and_the_cut_is_named(local: LocalEnvironment) -> None:
    put(local, "page/stale.html", "one")
    tools.eventually(lambda: "batch" in explained(local, "page/stale.html"), 60)
    invalidations(local, "wait", "--bucket", local.bucket, "--quiet", "2")
    readings.view(local, "page/stale.html")
    time.sleep(1.1)  # S3 dates objects in whole seconds
    with events_off(local):
        put(local, "page/stale.html", "two")
        found = explained(local, "page/stale.html")
    assert (found["verdict"], [each["check"] for each in found["cut"]]) == ("stale-never-told", ["Bucket sends events"])
    fix, request = found["command"].splitlines()
    assert fix == f"invalidations bucket enable {local.bucket}"
    assert request.startswith(f"invalidations request --bucket {local.bucket} page/stale.html --wait")
    assert "Hit" in found["edge"]["xCache"]
    again = invalidations(local, "request", "--bucket", local.bucket, "page/stale.html", "--wait")
    assert again.exit_code == 0
    readings.view(local, "page/stale.html")
    assert explained(local, "page/stale.html")["verdict"] == "fresh"


def test_an_address_that_the_stack_does_not_serve_is_told(local: LocalEnvironment) -> None:
    result = invalidations(local, "explain", "https://www.example.com/index.html")
    assert result.exit_code == 1
    assert "not-served-by-this-stack: no distribution of this account answers to www.example.com" in result.stdout
