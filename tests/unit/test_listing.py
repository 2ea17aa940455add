"""Listing a bucket around what changed: one look for a batch, a few pages, and never an error."""

from __future__ import annotations

from itertools import count
from os.path import commonprefix
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws
from moto.s3.models import s3_backends

from invalidation.cloudfront import listing as listing_module
from invalidation.cloudfront.distribution import Distribution
from invalidation.cloudfront.listing import MAX_CHANGED, MAX_PAGES, MAX_SECONDS, BucketLister, Listing
from invalidation.cloudfront.paths import covers
from invalidation.cloudfront.plan import Plan, plan_keys
from invalidation.cloudfront.routing import paths_for, viewer_paths
from invalidation.cloudfront.rules import Budget, PathRules
from tests.fakes import bucket as fakes
from tests.fakes.bucket import PAGE, Bucket

if TYPE_CHECKING:
    from collections.abc import Sequence

SITE = "my-site"
DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, "ListObjectsV2")
STORM = Budget(max_exact_paths=1, max_cover_paths=3, max_wildcards=2)


def lister(bucket: Bucket, **others: Any) -> BucketLister:
    client: Any = bucket
    return BucketLister(lambda: client, lambda _reason: None, **others)


def served_by(behaviors: Sequence[dict[str, Any]] = (), origin_path: str = "", **others: Any) -> Distribution:
    origins = [{"id": "bucket", "domainName": f"{SITE}.s3.amazonaws.com", "path": origin_path}]
    every = [*behaviors, {"pattern": "*", "originIds": ["bucket"]}]
    return Distribution.from_document({"id": "E1", "bucket": SITE, "origins": origins, "behaviors": every, **others})


def planned(distribution: Distribution, changed: Sequence[str], listed: Sequence[str] | None) -> Plan:
    listing = Listing(None if listed is None else tuple(listed))
    return plan_keys(distribution, lambda: changed, PathRules(), STORM, listed=lambda: listing)


# ---------------------------------------------------------------- what is listed


def test_a_listing_has_all_keys_below_what_the_changed_ones_have_in_common() -> None:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=SITE)
        for key in ("docs/a b+ü.html", "docs/v1/b.html", "docs/v2/c.html", "img/a.png"):
            client.put_object(Bucket=SITE, Key=key)
        found = BucketLister(lambda: client, pytest.fail).around("batch", SITE, ["docs/v1/b.html", "docs/a b+ü.html"])
        assert found.keys == ("docs/a b+ü.html", "docs/v1/b.html", "docs/v2/c.html")


def test_a_second_page_goes_on_where_the_first_ended_with_a_real_client_as_with_the_fake() -> None:
    keys = [f"docs/{at:04}+ü.html" for at in range(PAGE + 2)]
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=SITE)
        for key in keys:
            s3_backends["123456789012"]["aws"].put_object(SITE, key, b"")
        found = BucketLister(lambda: client, pytest.fail).around("batch", SITE, [keys[0], keys[-1]])
    assert list(found.keys or ()) == keys
    assert found == lister(Bucket(keys)).around("batch", SITE, [keys[0], keys[-1]])


@pytest.mark.parametrize(
    ("changed", "prefix"),
    [
        (["docs/a", "docs/b"], "docs/"),
        (["a", "b"], ""),
        (["docs/a"], "docs/a"),
        (["docs/ü\ud800x", "docs/ü\ud800y"], "docs/ü"),
        ([], ""),
    ],
)
def test_the_prefix_is_the_longest_common_one_that_s3_can_be_asked_for(changed: list[str], prefix: str) -> None:
    bucket = Bucket([])
    lister(bucket).around("batch", SITE, changed)
    assert bucket.prefixes == [prefix]


def test_all_distributions_of_a_batch_are_planned_with_one_listing_and_the_next_batch_with_a_new_one() -> None:
    bucket = Bucket(["docs/a", "docs/b"])
    listing = lister(bucket)
    first = listing.around("batch-1", SITE, ["docs/a"])
    bucket.keys.append("docs/a2")
    assert listing.around("batch-1", SITE, ["docs/a"]) is first
    assert listing.around("batch-2", SITE, ["docs/a"]).keys == ("docs/a", "docs/a2")
    assert bucket.pages == 2


def test_fifty_pages_are_listed_and_no_more() -> None:
    changed = [f"{at:05}" for at in range(0, MAX_PAGES * PAGE, PAGE)]
    just = Bucket(f"{at:05}" for at in range(MAX_PAGES * PAGE))
    assert len(lister(just).around("batch", SITE, changed).keys or ()) == MAX_PAGES * PAGE
    more = Bucket(f"{at:05}" for at in range(MAX_PAGES * PAGE + 1))
    found = lister(more).around("batch", SITE, changed)
    assert (found.keys, found.unknown) == (None, "more than 50,000 keys lie among those that changed, below ''")
    assert more.pages == MAX_PAGES


def test_many_unchanged_keys_in_a_row_are_left_out_up_to_the_neighbours_of_the_next_changed_one() -> None:
    docs, uploads, zoo = (
        [f"{folder}/{at:06}.html" for at in range(number)]
        for folder, number in (("docs", 500), ("uploads", 30_000), ("zoo", 40))
    )
    bucket = Bucket([*docs, *uploads, *zoo, "index.html"])
    found = lister(bucket).around("batch", SITE, [docs[7], "index.html", zoo[30]])
    assert found.keys is not None
    assert set(found.keys) >= {*docs, *zoo, "index.html"}
    assert bucket.pages == 5
    assert [gap[-1] for gap in found.gaps] == [found.keys[-len(zoo) - 1]]


def test_what_follows_the_last_changed_key_for_long_is_left_out() -> None:
    bucket = Bucket(["a.html", *(f"uploads/{at:06}" for at in range(30_000))])
    found = lister(bucket).around("batch", SITE, ["a.html", "gone.html", "uploads/000000"])
    assert bucket.pages == 4
    assert len(found.gaps) == 1


def test_a_million_changes_are_not_listed_for() -> None:
    bucket = Bucket([])
    found = lister(bucket).around("batch", SITE, (f"{at}" for at in range(MAX_CHANGED + 1)))
    assert (found.keys, found.unknown) == (None, "more than 100,000 keys changed")
    assert bucket.pages == 0


def test_a_bucket_that_answers_slowly_is_given_up() -> None:
    slow = Bucket(f"{at:05}" for at in range(10 * PAGE))
    clock = count(0.0, MAX_SECONDS / 2)
    found = lister(slow, clock=lambda: next(clock)).around("batch", SITE, ["0", "9"])
    assert (found.keys, found.unknown) == (None, "3 pages took more than 30 s")


@pytest.mark.parametrize("error", [DENIED, EndpointConnectionError(endpoint_url="https://s3.example")])
def test_what_cannot_be_listed_is_unknown_told_once_and_not_asked_again_for_the_batch(error: Exception) -> None:
    bucket: Any = Bucket((f"{at:05}" for at in range(2 * PAGE)), error)
    told: list[str] = []
    listing = BucketLister(lambda: bucket, told.append)
    for _ in range(2):
        found = listing.around("batch", SITE, ["0", "1"])
        assert (found.keys, found.unknown) == (None, str(error))
    assert told == [f"{SITE} is not listed: {error}"]
    assert bucket.pages == 2


# ---------------------------------------------------------------- what is planned with it

CHANGED = [f"new/{at}.html" for at in range(9)] + [f"docs/{at}.html" for at in range(9)]
NEIGHBOURS = [f"docs/old-{at}.html" for at in range(12)]


def test_a_plan_tells_what_each_wildcard_evicts_besides() -> None:
    found = planned(served_by(), CHANGED, [*CHANGED, *NEIGHBOURS])
    assert [each.description for each in found.widened] == [
        "/docs/* for 9 paths; 12 unchanged objects with it",
        "/new/* for 9 paths; 0 unchanged objects with it",
    ]


def test_without_a_listing_the_plan_is_the_narrowest_and_says_that_it_does_not_know() -> None:
    found = planned(served_by(), CHANGED, None)
    assert found.paths == plan_keys(served_by(), lambda: CHANGED, PathRules(), STORM).paths
    assert [each.unchanged for each in found.widened] == [None, None]
    assert found.widened[0].description == ("/docs/* for 9 paths; unchanged objects with it not counted")


def test_a_wildcard_over_what_was_not_listed_is_avoided_and_its_evictions_are_not_told() -> None:
    changed = [*(f"docs/{at}.html" for at in range(9)), "zoo/1.html"]
    uploads = [f"uploads/{at:06}" for at in range(3_000)]
    listing = Listing((*changed, *NEIGHBOURS, *uploads), (tuple(uploads[-1_000:]),))
    budget = Budget(max_exact_paths=1, max_cover_paths=2, max_wildcards=1)
    found = plan_keys(served_by(), lambda: changed, PathRules(), budget, listed=lambda: listing)
    assert (found.paths, [each.unchanged for each in found.widened]) == (("/docs/*", "/zoo/1.html"), [12])
    forced = plan_keys(served_by(), lambda: changed, PathRules(), Budget(1, 1, 1), listed=lambda: listing)
    assert (forced.paths, [each.unchanged for each in forced.widened]) == (("/*",), [None])


def test_deleted_keys_are_changed_ones_and_count_nowhere_else() -> None:
    left = [key for key in CHANGED if "1" not in key]
    assert planned(served_by(), CHANGED, [*left, *NEIGHBOURS]) == planned(served_by(), CHANGED, [*CHANGED, *NEIGHBOURS])


def test_few_changes_ask_for_no_listing() -> None:
    plan_keys(served_by(), lambda: ["a.html"], PathRules(), Budget(), listed=lambda: pytest.fail("listed"))


def test_objects_that_another_origin_serves_are_not_evicted() -> None:
    elsewhere = {"pattern": "docs/old-*", "originIds": ["api"]}
    found = planned(served_by([elsewhere]), CHANGED, [*CHANGED, *NEIGHBOURS])
    assert [each.unchanged for each in found.widened] == [0, 0]


def test_objects_outside_the_origin_path_are_not_evicted_and_inside_it_is_left_out() -> None:
    inside = [f"site/{key}" for key in CHANGED]
    found = planned(served_by(origin_path="/site"), inside, [*inside, *NEIGHBOURS, "site/docs/old.html"])
    assert [(each.path, each.unchanged) for each in found.widened] == [("/docs/*", 1), ("/new/*", 0)]


def test_what_an_asked_for_wildcard_purges_is_nobody_elses() -> None:
    changed = [*CHANGED, "docs/a~1.html"]
    found = planned(served_by(), changed, [*changed, "docs/a2.html", "docs/b.html"])
    assert [(each.path, each.unchanged) for each in found.widened] == [("/docs/*", 1), ("/new/*", 0)]


keys = st.text("ab/+~ ü", min_size=1, max_size=6)


@given(keys, st.booleans(), st.booleans())
def test_a_wildcard_that_purges_any_path_of_an_object_matches_the_one_that_stands_for_it(
    key: str, query_strings: bool, website: bool
) -> None:
    host = "s3-website.us-east-1" if website else "s3"
    origins = [{"id": "bucket", "domainName": f"{SITE}.{host}.amazonaws.com", "website": website}]
    behaviors = [{"pattern": "*", "originIds": ["bucket"], "queryStrings": query_strings}]
    document = {"id": "E1", "bucket": SITE, "origins": origins, "behaviors": behaviors, "defaultRootObject": "a"}
    distribution = Distribution.from_document(document)
    rules = PathRules(directory_index="b", spellings=False)
    (standing,) = viewer_paths(distribution, [key], rules)
    for path in paths_for(distribution, [key], rules):
        plain = path.removesuffix("*")
        assert all(covers(plain[:length] + "*", standing) for length in range(1, len(plain) + 1))


@given(
    st.sets(st.text("ab/\x00\x01é\ud7ff\ue000\U0010ffff", min_size=1, max_size=4), min_size=1, max_size=40), st.data()
)
@settings(deadline=None, max_examples=300)
def test_no_neighbour_of_a_changed_key_is_missed_without_a_gap_that_says_so(
    site: set[str], data: st.DataObject
) -> None:
    changed = data.draw(st.lists(st.sampled_from(sorted(site)), min_size=1, max_size=4, unique=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fakes, "PAGE", 1)
        patch.setattr(listing_module, "PAGES_WITHOUT_CHANGE", 1)
        found = lister(Bucket(site), max_pages=100).around("batch", SITE, changed)
    assert found.keys is not None
    missed = site - set(found.keys)
    shared = len(commonprefix(changed))  # noqa: RUF071 - by character is what is meant
    for prefix in {key[:length] for key in changed for length in range(shared, len(key) + 1)}:
        if any(each.startswith(prefix) for each in missed):
            assert any(gap[-1].startswith(prefix) for gap in found.gaps)
