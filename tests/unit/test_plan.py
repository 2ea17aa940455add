from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invalidation.cloudfront.cover import narrowest_cover
from invalidation.cloudfront.distribution import Behavior, Distribution, Origin
from invalidation.cloudfront.limits import FEW_PATHS, MAX_WILDCARDS_BY_HAND, MAX_WILDCARDS_OF_BATCH
from invalidation.cloudfront.paths import invalidation_paths
from invalidation.cloudfront.plan import Plan, plan_keys, plan_paths
from invalidation.cloudfront.rules import Budget, PathRules, Widening
from invalidation.errors import InvalidRequest

PLAIN = Distribution(
    "E1", "site", origins=(Origin("s3", "site.s3.amazonaws.com"),), behaviors=(Behavior("*", ("s3",)),)
)


def planned_for(keys: list[str]) -> Plan:
    return plan_keys(PLAIN, lambda: keys, PathRules(), Budget())


def many(pattern: str, number: int) -> list[str]:
    return [pattern.format(at) for at in range(number)]


def test_few_paths_go_as_they_are_sorted_and_without_repetition() -> None:
    assert plan_paths(["/b", "/a", "/b", "/a/%C3%BC*"], Budget()) == Plan(("/a", "/a/%C3%BC*", "/b"))


def test_nothing_asked_for_needs_nothing() -> None:
    assert plan_paths([], Budget()) == Plan(())


def test_as_many_paths_as_the_budget_allows_stay_exact_and_one_more_is_a_storm() -> None:
    assert plan_paths(many("/{}", 30), Budget()) == Plan(tuple(sorted(many("/{}", 30))))
    assert len(plan_paths(many("/{}", 31), Budget()).paths) <= 10


SPELLED = {
    "a plus": [f"wheels/torch-2.{number}.0+cu118.whl" for number in range(16)],
    "a space and a plus": [f"a b/{number}+1.whl" for number in range(30)],
    "all that is spelled in several ways": [f"a b+c&d/{number}.txt" for number in range(25)],
    "repeated slashes": [f"a//b+c/{number}.txt" for number in range(30)],
}


@pytest.mark.parametrize("keys", SPELLED.values(), ids=SPELLED)
def test_spellings_of_few_keys_are_no_storm(keys: list[str]) -> None:
    found = planned_for(keys)
    assert found.widened == ()
    assert set(found.paths) == {path for key in keys for path in invalidation_paths("/" + key)}
    assert len(found.paths) >= 2 * len(keys) > FEW_PATHS


def test_what_is_spelled_in_many_ways_costs_no_more_than_one_request_without_a_cover() -> None:
    assert planned_for([f"a b+c&d/{number}.txt" for number in range(26)]).widened
    assert planned_for([f"{number}+.whl" for number in range(31)]).widened


def test_few_keys_with_too_many_wildcards_among_them_keep_their_spellings_beside_the_cover() -> None:
    packages = [f"debs/{name}_1.0~rc1.deb" for name in "abcdefg"]
    found = planned_for([*packages, *SPELLED["a plus"]])
    assert found.widened == (Widening("/debs/*", 7),)
    assert len(found.paths) == 1 + 2 * 16


def test_spellings_of_a_key_that_is_cut_count_once_among_wildcards_too() -> None:
    packages = [f"debs/{name}_1.0+dfsg~rc1.deb" for name in "abcde"]
    found = planned_for(packages)
    assert (found.widened, len(found.paths), found.wildcards) == ((), 10, 10)
    more = planned_for([*packages, *(f"debs/{name}_1.0+dfsg~rc1.deb" for name in "fghijk")])
    assert more.widened
    assert 10 < more.wildcards <= MAX_WILDCARDS_OF_BATCH


directories = st.lists(st.sampled_from(["pool", "c++", "a b", "d+e&f g", "ü", "~joe", "x"]), min_size=1, max_size=3)
names = st.text("abc+ ", min_size=1, max_size=4)


@given(directories, st.lists(names, min_size=6, max_size=15, unique=True), st.lists(names, max_size=15))
@settings(deadline=None)
def test_keys_with_a_tilde_in_one_directory_purge_no_more_than_that_directory(
    directory: list[str], tildes: list[str], others: list[str]
) -> None:
    folder = "/".join(directory) + "/"
    found = planned_for([*(f"{folder}{name}~1.deb" for name in tildes), *others])
    own = tuple(each.removesuffix("*") for each in invalidation_paths(f"/{folder}"))
    assert all(each.path.startswith(own) for each in found.widened)
    plain = {path for key in others for path in invalidation_paths("/" + key)}
    assert {path for path in found.paths if not path.startswith(own)} <= plain


def test_a_deploy_becomes_its_directories_and_its_few_top_level_files() -> None:
    deploy = (
        many("/assets/{:x}.js", 5000) + many("/blog/post-{}/index.html", 3000) + many("/docs/{:o}/index.html", 2000)
    )
    found = plan_paths([*deploy, "/index.html", "/favicon.ico"], Budget())
    assert found.paths == ("/assets/*", "/blog/post-*", "/docs/*", "/favicon.ico", "/index.html")
    assert found.widened == (Widening("/assets/*", 5000), Widening("/blog/post-*", 3000), Widening("/docs/*", 2000))
    assert found.wildcards == 3


def test_paths_that_an_asked_for_wildcard_matches_are_dropped_wherever_they_sort() -> None:
    asked = ["/a", "/a!", "/a!/b*", "/a*", "/a/b", "/a-c*", "/b"]
    assert plan_paths(asked, Budget()) == Plan(("/a*", "/b"))


def test_what_an_asked_for_wildcard_matches_makes_no_storm() -> None:
    assert plan_paths(["/docs/*", "/index.html", *many("/docs/{}", 1000)], Budget()) == Plan(("/docs/*", "/index.html"))


def test_the_directory_with_more_of_the_asked_for_paths_is_the_one_that_is_widened() -> None:
    asked = many("/documentation/{}", 500) + [f"/blog/{letter}" for letter in "bcdefg"] + many("/blog/a{}", 2)
    found = plan_paths(asked, Budget(max_wildcards=1))
    assert found.widened == (Widening("/documentation/*", 500),)
    assert len(found.paths) == 9


def test_too_many_asked_for_wildcards_are_merged_without_widening_other_paths() -> None:
    asked = ["/a/1*", "/a/2*", "/b/3*", *many("/c/{}", 20)]
    found = plan_paths(asked, Budget(max_wildcards=2))
    assert found.widened == (Widening("/a/*", 2),)
    assert found.paths == ("/a/*", "/b/3*", *sorted(many("/c/{}", 20)))


def test_wildcards_that_are_named_by_hand_are_merged_only_beyond_150() -> None:
    by_hand = Budget(3_000, 3_000, MAX_WILDCARDS_BY_HAND)
    asked = sorted(many("/{:03}/*", 150))
    assert plan_paths([*asked, *many("/x/{}", 2_000)], by_hand).paths == (*asked, *sorted(many("/x/{}", 2_000)))
    found = plan_paths([*asked, "/149-b/*"], by_hand)
    assert found.wildcards == 150
    assert found.widened == (Widening("/149*", 2),)


def test_a_widening_counts_every_distinct_path_that_was_asked_for() -> None:
    asked = ["/a/1*", "/a/12", "/a/13", "/a/2*", "/a/2*"]
    assert plan_paths(asked, Budget(max_wildcards=1)).widened == (Widening("/a/*", 4),)


def test_a_wildcard_never_ends_within_a_percent_encoded_character() -> None:
    umlauts = [f"/a/%C3%{octet:02X}/{at}" for octet in range(0xA0, 0xC0) for at in range(3)]
    assert plan_paths(umlauts, Budget()).paths == ("/a/*",)
    lower = [path.lower() for path in umlauts]
    assert plan_paths(lower, Budget()).paths == ("/a/*",)
    chinese = [f"/%E4%B8%AD%E6%96%{octet:02X}" for octet in range(0x80, 0xC0)]
    assert plan_paths(chinese, Budget()).paths == ("/%E4%B8%AD*",)
    emoji = [f"/%F0%9F%98%{octet:02X}" for octet in range(0x80, 0xC0)]
    assert plan_paths(emoji, Budget()).paths == ("/*",)


def test_percent_signs_that_encode_nothing_are_planned_all_the_same() -> None:
    asked = ["/%", "/%%", "/%C3", "/%C3%", "/%C3x", "/%C3%BCx", "/%zz", "/%4", "/%F0", "/%FFabc", "/%FFabd"]
    assert plan_paths(asked, Budget(max_exact_paths=1, max_cover_paths=1)).paths == ("/*",)
    assert plan_paths(asked, Budget(max_exact_paths=1, max_cover_paths=11)).paths == tuple(sorted(asked))


def test_no_wildcard_reaches_beyond_the_widest_path_even_if_more_paths_have_to_be_paid() -> None:
    outside, inside = many("/pages/{}.html", 200), many("/assets/{}", 5000)
    found = plan_paths(outside + inside, Budget(widest_path="/assets/*"))
    assert found.paths == ("/assets/*", *sorted(outside))
    assert found.widened == (Widening("/assets/*", 5000),)


def test_the_widest_path_may_lie_within_a_directory() -> None:
    found = plan_paths(many("/img/{}", 400), Budget(widest_path="/img/3*"))
    assert "/img/3*" in found.paths
    assert len(found.paths) == 1 + 400 - 111


def test_asked_for_wildcards_outside_the_widest_path_go_as_they_are_however_many() -> None:
    asked = many("/pages/{}*", 8) + many("/assets/{}*", 8)
    found = plan_paths(asked, Budget(widest_path="/assets/*"))
    assert found.paths == ("/assets/*", *many("/pages/{}*", 8))


def test_what_the_bound_leaves_of_the_budget_is_used_within_it() -> None:
    asked = ["/index.html", *many("/assets/css/{}", 50), *many("/assets/js/{}", 50)]
    found = plan_paths(asked, Budget(widest_path="/assets/*", max_cover_paths=3))
    assert found.paths == ("/assets/css/*", "/assets/js/*", "/index.html")


def test_wildcards_outside_the_widest_path_leave_fewer_to_introduce_inside_but_always_one() -> None:
    styles, scripts, logos = many("/assets/css/{}", 50), many("/assets/js/{}", 50), ["/assets/a.svg", "/assets/b.svg"]
    for outside, inside in (
        (3, ("/assets/css/*", "/assets/js/*")),
        (4, ("/assets/*",)),
        (5, ("/assets/*",)),
    ):
        pages = many("/pages/{}*", outside)
        assert plan_paths(styles + scripts + pages, Budget(widest_path="/assets/*")).paths == (*inside, *pages)
        found = plan_paths(scripts + logos + pages, Budget(widest_path="/assets/*"))
        assert found.paths == ("/assets/a.svg", "/assets/b.svg", "/assets/js/*", *pages)


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("", "does not begin with /"),
        ("a/b", "does not begin with /"),
        ("*", "does not begin with /"),
        ("/a*b", "not its last character"),
        ("/a**", "not its last character"),
        ("/ü", "not percent-encoded"),
        ("/a b", "not percent-encoded"),
        ("/a\n", "not percent-encoded"),
        ("/a\x7f", "not percent-encoded"),
        ("/" + "a" * 4000, "4,001 characters"),
    ],
)
def test_a_path_that_cloudfront_cannot_invalidate_is_refused_by_what_is_wrong_with_it(
    path: str, complaint: str
) -> None:
    with pytest.raises(InvalidRequest, match=complaint):
        plan_paths(["/fine", path], Budget())
    with pytest.raises(ValueError, match=r"widest_path .* give a wildcard such as"):
        Budget(widest_path=path)


def test_a_path_of_4000_characters_is_accepted() -> None:
    assert plan_paths(["/" + "a" * 3999], Budget()).paths == ("/" + "a" * 3999,)


@pytest.mark.parametrize("widest_path", ["/", "/index.html", "/caf%C3*", "/caf%C3%B*", "/a%*"])
def test_the_widest_path_is_a_wildcard_that_ends_with_a_whole_character(widest_path: str) -> None:
    with pytest.raises(ValueError, match="widest_path"):
        Budget(widest_path=widest_path)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("max_exact_paths", 0),
        ("max_exact_paths", 3001),
        ("max_cover_paths", 0),
        ("max_cover_paths", 3001),
        ("max_wildcards", 0),
        ("max_wildcards", 151),
    ],
)
def test_a_budget_that_no_invalidation_can_keep_is_refused(name: str, number: int) -> None:
    with pytest.raises(ValueError, match=f"{name} is {number}"):
        Budget(**{name: number})  # type: ignore[arg-type]  # mypy cannot tell which field the name is of


class Watched(list[str]):
    """A list that counts how many of its elements somebody looked at by position."""

    seen = 0

    def __getitem__(self, at: Any) -> Any:
        self.seen += 1
        return super().__getitem__(at)


def test_the_search_looks_at_few_of_the_paths_however_many_they_are() -> None:
    seen = []
    for number in (1_000, 100_000):
        chance = random.Random(1)  # noqa: S311 - a seeded sample, no secret
        asked = Watched(sorted({f"/{chance.getrandbits(8):08b}/{chance.getrandbits(64):x}" for _ in range(number)}))
        narrowest_cover(asked, max_paths=10, max_wildcards=5)
        seen.append(asked.seen)
    assert seen[1] < 3 * seen[0]
    assert seen[1] < 10_000


@pytest.mark.parametrize(
    "asked",
    [
        ["/" + "a" * length + "b" for length in range(3990)],
        ["/" + "a" * length + ending for length in range(3990) for ending in ("", "*")],
        ["/" + "%C3%BC" * 660 + f"{at:06}" for at in range(10_000)],
        ["/" + "a" * 1000 + f"{at:b}" for at in range(10_000)],
    ],
    ids=["each longer", "each wildcard in the one before", "one long beginning", "long and binary"],
)
@pytest.mark.slow
@pytest.mark.parametrize("cover", [10, 1000])
def test_long_paths_that_begin_alike_take_no_longer_than_others(asked: list[str], cover: int) -> None:
    # Ends in about a second. Were the work quadratic in paths or characters, it would take minutes.
    budget = Budget(max_cover_paths=cover, max_wildcards=15)
    assert 1 <= len(plan_paths(asked, budget).paths) <= cover
