"""The real state machine and handlers, on moto, with every hostile key: names are data, from event to message."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from invalidation.cloudfront.paths import covers, encode
from tests.security.hostile import KEYS
from tests.statemachine import stack as stacks
from tests.statemachine.events import changed
from tests.statemachine.site import Site

PLAIN_KEYS = [key for key in KEYS.values() if "*" not in key and "~" not in key and "/." not in "/" + key]
"""Those that have one path which purges them, if nothing in them is a control character."""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with stacks.deployed() as stack:
        yield Site.create(stack)


def test_a_list_of_every_hostile_key_is_covered_and_told_as_it_is(site: Site) -> None:
    ran = site.stack.run([changed(site.bucket, key) for key in KEYS.values()])
    assert ran.status == "SUCCEEDED"
    assert site.stack.batch(ran).changes == len(KEYS)
    (sent,) = site.invalidated
    for key in filter(str.isprintable, PLAIN_KEYS):
        assert any(covers(path, encode("/" + key)) for path in sent), key
    (told,) = site.stack.notifications(ran)
    assert told["subject"] == f"CloudFront is fresh: {site.bucket}, {len(KEYS)} changes"
    assert set(told["body"]["sample"]) <= set(KEYS.values())
    assert site.pending == 0


@pytest.mark.parametrize("name", ["a path of JSON", "the context of JSON", "an intrinsic", "an expression", "JSON"])
def test_a_key_in_the_state_machines_own_language_is_a_key(site: Site, name: str) -> None:
    ran = site.stack.run({"bucket": site.bucket, "keys": [KEYS[name]]})
    assert ran.status == "SUCCEEDED"
    (announced,) = site.stack.announcements(ran)
    assert announced["detail"]["sample"] == [KEYS[name]]
    assert encode("/" + KEYS[name]) in site.invalidated[-1]
