"""`invalidations explain URL`: each verdict on an address, with the command that fixes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import click
import pytest

from invalidation.batches.finish import Failure
from invalidation.batches.head import pause
from invalidation.cloudfront.distribution import Behavior, Distribution, Origin
from invalidation.cloudfront.edge import EdgeAnswer
from invalidation.config import Settings
from invalidations_cli.commands.explain import explain
from invalidations_cli.stale_page import (
    PageFacts,
    PageQuestion,
    PageVerdict,
    answers_to,
    lines_of_page,
    parsed_url,
    route_of,
)
from tests.fakes.chain import FakeChain
from tests.fakes.stack import START, World

URL = "https://e1.cloudfront.net/index.html"
OURS = Origin("o", "site.s3.eu-west-1.amazonaws.com")
MINUTE = timedelta(minutes=1)


def distribution(*behaviors: Behavior, origin: Origin = OURS, **settings: Any) -> Distribution:
    default = Behavior("*", (origin.id,))
    return Distribution("E1", "site", origins=(origin,), behaviors=(*behaviors, default), **settings)


@pytest.mark.parametrize(
    ("found", "path", "settings", "keys"),
    [
        (distribution(), "/a%20b.html", Settings(), ["a b.html"]),
        (distribution(default_root_object="home.html"), "/", Settings(), ["home.html"]),
        (distribution(default_root_object="home.html"), "", Settings(), ["home.html"]),
        (distribution(origin=Origin("o", "x", path="/live")), "/a.html", Settings(), ["live/a.html"]),
        (distribution(origin=Origin("o", "x", path="/site", path_style=True)), "/a.html", Settings(), ["a.html"]),
        (distribution(origin=Origin("o", "x", website=True)), "/blog/", Settings(), ["blog/index.html", "blog/"]),
        (distribution(), "/blog/", Settings(directory_index="x.html"), ["blog/x.html", "blog/"]),
        (distribution(), "/blog/", Settings(), ["blog/"]),
        (
            distribution(origin=Origin("o", "x", path="/stage", foreign=True)),
            "/a",
            Settings(),
            ["stage/a", "a"],
        ),
    ],
)
def test_an_address_leads_to_the_keys_that_it_may_stand_for(
    found: Distribution, path: str, settings: Settings, keys: list[str]
) -> None:
    route = route_of(found, path, settings)
    assert route is not None
    assert list(route.keys) == keys


def test_the_first_behaviour_that_matches_decides_and_may_lead_elsewhere() -> None:
    found = distribution(Behavior("/api/*"), Behavior("*.css", ("o",)))
    assert route_of(found, "/api/a.css", Settings()) is None
    route = route_of(found, "/a.css", Settings())
    assert route is not None
    assert route.behavior.pattern == "*.css"


@pytest.mark.parametrize(
    ("host", "answers"),
    [
        ("d1.cloudfront.net", True),
        ("WWW.example.com", True),
        ("x.pages.example.com", True),
        ("a.b.pages.example.com", False),
        ("pages.example.com", False),
        ("other.example.com", False),
    ],
)
def test_a_distribution_answers_to_its_own_host_and_its_aliases(host: str, answers: bool) -> None:
    found = distribution(domain_name="d1.cloudfront.net", aliases=("www.example.com", "*.pages.example.com"))
    assert answers_to(found, host) is answers


@pytest.mark.parametrize("url", ["", "https://", "ftp://a.example/x", "https://a b/", "https://a:99999/", "/x.html"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(click.UsageError, match="no address"):
        parsed_url(url)


def test_an_address_without_a_scheme_is_https() -> None:
    assert parsed_url("www.example.com/a.html").geturl() == "https://www.example.com/a.html"


@dataclass
class Site:
    """A page's world: what the bucket holds and what the edge gives."""

    world: World
    served: EdgeAnswer = EdgeAnswer(200, '"old"', x_cache="Hit from cloudfront", age="60")  # noqa: RUF009 -- a tuple
    asked: tuple[str, str] | None = None
    blockers: tuple[str, ...] = ()
    is_cut: bool = False

    def edge(self, host: str, path: str) -> EdgeAnswer:
        self.asked = (host, path)
        return self.served

    def facts(self, url: str = URL) -> PageFacts:
        broken = [_Cut()] if self.is_cut else []
        question = PageQuestion(
            self.world.stack(), Settings(), lambda *_: list(self.blockers), lambda *_: broken, self.edge
        )
        return question.answer(url)


class _Cut:
    evidence = "the bucket sends no events"
    remedy = "invalidations bucket enable site"

    def to_document(self) -> dict[str, str]:
        return {"check": "Bucket sends events"}


@pytest.fixture
def site() -> Site:
    stored = {"index.html": {"ETag": '"new"', "LastModified": START}}
    world = World(clients={"s3": FakeChain(objects=stored)})
    return Site(world)


def batch_is_open(world: World) -> None:
    world.batch(at=START, ends=False)


@pytest.mark.parametrize(
    ("arrange", "verdict", "command"),
    [
        (lambda _world: None, PageVerdict.NEVER_TOLD, "invalidations request --bucket site index.html --wait"),
        (lambda world: world.batch(at=START - MINUTE), PageVerdict.NEVER_TOLD, "invalidations request"),
        (lambda world: world.batch(at=START + MINUTE), PageVerdict.ALTHOUGH_INVALIDATED, "invalidations request"),
        (batch_is_open, PageVerdict.BEING_INVALIDATED, "invalidations wait --bucket site"),
        (
            lambda world: world.batch(at=START + MINUTE, failure=Failure("AccessDenied", "no")),
            PageVerdict.FAILED,
            "invalidations retry",
        ),
        (lambda world: world.batch(["other.html"], at=START + MINUTE), PageVerdict.NEVER_TOLD, "invalidations"),
        (lambda world: world.batch(at=START + MINUTE, dry_run=True), PageVerdict.NEVER_TOLD, "invalidations request"),
    ],
)
def test_a_stale_page_is_judged_by_what_became_of_its_last_change(
    site: Site, arrange: Callable[[World], Any], verdict: PageVerdict, command: str
) -> None:
    arrange(site.world)
    facts = site.facts()
    assert (facts.verdict, facts.key) == (verdict, "index.html")
    assert facts.command.startswith(command)


def test_a_page_is_fresh_where_the_edge_gives_what_the_bucket_holds(site: Site) -> None:
    site.served = EdgeAnswer(200, '"new"')
    facts = site.facts("https://e1.cloudfront.net/index.html?a=b%20c")
    assert facts.verdict is PageVerdict.FRESH
    assert site.asked == ("e1.cloudfront.net", "/index.html?a=b%20c")


def test_a_redirect_is_compared_with_nothing(site: Site) -> None:
    site.served = EdgeAnswer(301, "")
    assert site.facts().verdict is PageVerdict.UNKNOWN


def test_a_stale_page_whose_key_is_excluded_says_so(site: Site) -> None:
    site.blockers = ("ExcludeKeys leaves the key out",)
    facts = site.facts()
    assert facts.verdict is PageVerdict.EXCLUDED
    assert "ExcludeKeys" in facts.why


def test_a_stale_page_of_a_paused_bucket_names_the_pause(site: Site) -> None:
    site.world.batch(at=START, ends=False)
    pause(site.world.table, "site")
    facts = site.facts()
    assert facts.verdict is PageVerdict.BEING_INVALIDATED
    assert "once somebody resumes site" in facts.why
    assert facts.command == "invalidations resume site"


def test_over_a_cut_chain_the_cut_is_mended_first(site: Site) -> None:
    site.is_cut = True
    facts = site.facts()
    assert facts.verdict is PageVerdict.NEVER_TOLD
    assert facts.command.splitlines() == [
        "invalidations bucket enable site",
        "invalidations request --bucket site index.html --wait",
    ]
    assert facts.to_document()["cut"] == [{"check": "Bucket sends events"}]


def test_an_address_of_nobody_is_not_asked(site: Site) -> None:
    facts = site.facts("https://www.example.com/")
    assert (facts.verdict, site.asked) == (PageVerdict.NOT_SERVED, None)
    assert "no distribution of this account answers to www.example.com" in facts.why


def test_people_and_machines_see_what_was_found(site: Site) -> None:
    identity = site.world.batch(at=START + MINUTE, distribution="E1")
    facts = site.facts()
    document = json.loads(json.dumps(facts.to_document()))
    assert document["edge"] == {"status": 200, "etag": '"old"', "xCache": "Hit from cloudfront", "age": "60"}
    assert document["stored"] == {"etag": '"new"', "lastModified": START.isoformat()}
    assert document["batch"]["batchId"] == identity
    created, completed = START + MINUTE + timedelta(seconds=2), START + MINUTE + timedelta(seconds=11)
    assert document["invalidationCompleted"] == completed.isoformat(), "a second before its batch ended"
    text = "\n".join(lines_of_page(facts))
    assert "old content   for at most" in text
    assert f"created {created:%Y-%m-%d %H:%M:%S}, completed by {completed:%H:%M:%S} UTC" in text
    for told in ("E1", "behaviour *", '"new"', '"old"', "Age 60", identity, "I0000000000001", "stale-although"):
        assert told in text


@pytest.mark.parametrize("words", [[], [URL, "--bucket", "site"], [URL, "--key", "a"], ["--bucket", "site"]])
def test_either_an_address_or_a_key_is_named(words: list[str]) -> None:
    assert World().run(explain, *words).exit_code == 2
