"""Sites as people have them, and a deploy of each: what is uploaded, in which order, and what else is there. Seeded.

A site is folders, in the order in which a deploy reaches them. Of each folder a few objects stay as they are, so that
hardly any prefix is clean; and a few objects anywhere are touched by every deploy. Some names need encoding.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice

SMALLEST = 2_700
"""Objects of a site, at least; a larger deploy comes to a larger site of the same shape."""
SITE_FOR_EACH_CHANGE = 2.7
STAYING = (0.0, 0.02, 0.05, 0.1)
"""Shares of a rebuilt folder's objects that stay as they are: each folder has one of them."""
SCATTERED = 0.01
"""Share of all objects that are edited by themselves, anywhere."""
AWKWARD = 0.05
"""Share of names that need encoding, or have more than one spelling."""

Folder = tuple[str, Iterator[str]]
"""Its name, and as many names of objects in it as anybody asks for."""


@dataclass(frozen=True, slots=True)
class Deploy:
    """Object keys: those that change, as they are uploaded or deleted, and those that stay."""

    site: str
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]


def documentation(chance: random.Random) -> Iterator[tuple[Folder, float, bool]]:
    """A release rebuilds assets, the latest version's pages, then the banner of older ones; blog and pictures stay."""
    yield ("assets/", _named(chance, "{hex}.js")), 0.08, True
    sections = ("guide", "reference", "tutorials", "faq", "api", "cli", "recipes", "internals")
    for version in ("latest", "v3", "v2", "v1"):
        for section in sections:
            yield (f"docs/{version}/{section}/", _named(chance, "{word}-{number}.html")), 0.75 / 32, True
    for year in range(2021, 2026):
        yield (f"blog/{year}/", _named(chance, "{number}-{word}/index.html")), 0.12 / 5, False
    yield ("img/", _named(chance, "{word}-{number}.png")), 0.05, False


def single_page_app(chance: random.Random) -> Iterator[tuple[Folder, float, bool]]:
    """A build replaces hashed chunks, styles and translations; what users have uploaded stays, and old pictures."""
    for folder, share in (("js", 0.25), ("css", 0.08), ("media", 0.05)):
        yield (f"static/{folder}/", _named(chance, "{number}.{hex}.chunk")), share, True
    for language in ("de", "en", "fr", "ja"):
        yield (f"locales/{language}/", _named(chance, "{word}-{number}.json")), 0.02, True
    yield ("uploads/", _named(chance, "{hex}/avatar.png")), 0.54, False


def photo_archive(chance: random.Random) -> Iterator[tuple[Folder, float, bool]]:
    """Some shoots are edited again, each picture in three sizes; others of the same months and years stay."""
    for month in range(48):
        for size in ("original", "large", "small"):
            folder = f"photos/{2025 - month // 12}/{12 - month % 12:02}/{size}/"
            yield (folder, _named(chance, "IMG_{number}.jpg")), 1 / 144, True


def package_repository(chance: random.Random) -> Iterator[tuple[Folder, float, bool]]:
    """New builds of some packages, under names with + and ~; their neighbours and older builds stay."""
    yield ("dists/stable/", _named(chance, "{word}/Packages-{number}")), 0.04, True
    for letter in "lpgcmdsaqkbt":
        version = chance.choice(("1.2-3+b1", "2.0+dfsg-1", "0.9~rc1-2+deb12u1", "3.1-1"))
        name = f"{{word}}{{number}}/lib{{word}}_{version}_amd64.deb"
        yield (f"pool/main/{letter}/{letter}", _named(chance, name)), 0.08, True


SITES: dict[str, Callable[[random.Random], Iterator[tuple[Folder, float, bool]]]] = {
    "documentation": documentation,
    "single-page app": single_page_app,
    "photo archive": photo_archive,
    "package repository": package_repository,
}


def deploy(site: str, objects: int) -> Deploy:
    """A deploy that changes so many objects; the same each time."""
    chance = random.Random(f"{site} {objects}")
    size = max(SMALLEST, round(objects * SITE_FOR_EACH_CHANGE))
    turns: dict[str, float] = {"index.html": 0.5}
    for turn, ((folder, names), share, rebuilt) in enumerate(SITES[site](chance)):
        staying = chance.choice(STAYING) if rebuilt else 1.0
        for name in islice(names, round(size * share)):
            stays = chance.random() < staying
            turns[folder + name] = 1_000.0 if stays else turn + chance.random()
    edited = chance.sample(sorted(turns), round(SCATTERED * size))
    turns |= {key: chance.uniform(-1, 40) for key in edited}
    ordered = sorted(turns, key=lambda key: (turns[key], key))
    changed = ordered[:objects]
    if objects > 1:
        chance.shuffle(changed)  # uploads run in parallel
    return Deploy(site, tuple(changed), tuple(sorted(ordered[objects:])))


WORDS = ("install", "search", "users", "tables", "events", "styles", "queue", "hooks", "proxy", "tokens")


def _named(chance: random.Random, form: str) -> Iterator[str]:
    for number in count():
        word = chance.choice(WORDS)
        if chance.random() < AWKWARD:
            word = chance.choice(("über {}", "{}+more", "{} (2)", "{}, old")).format(word)
        yield form.format(word=word, number=f"{number:05}", hex=f"{chance.getrandbits(40):010x}")
