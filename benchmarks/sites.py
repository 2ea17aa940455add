"""Sites as people have them, and a deploy of each: what is uploaded, in which order, and what else is there. Seeded."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

UNCHANGED_FOR_EACH = 2
"""Objects that a deploy leaves alone, for each that it changes."""


@dataclass(frozen=True, slots=True)
class Deploy:
    """Object keys: those that change, as they are uploaded, and those that stay."""

    site: str
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]


def documentation(chance: random.Random, number: int) -> tuple[str, str]:
    """A release rewrites one version's pages and the assets; older versions, the blog, some pages and fonts stay."""
    section = chance.choice(("guide", "reference", "tutorials", "faq"))
    if chance.random() < 0.3:
        changed = f"assets/{chance.getrandbits(64):016x}.js"
    else:
        changed = f"docs/latest/{section}/page-{number:06}/index.html"
    stays = (
        f"docs/v{chance.randint(1, 3)}/{section}/page-{number:06}/index.html",
        f"blog/{chance.randint(2015, 2025)}/{number:06}/index.html",
        f"docs/latest/{section}/archived-{number:06}/index.html",
        f"assets/fonts/{chance.getrandbits(32):08x}.woff2",
    )
    return changed, chance.choices(stays, (45, 45, 8, 2))[0]


def single_page_app(chance: random.Random, number: int) -> tuple[str, str]:
    """A build makes new hashed assets and some translations; what users have uploaded stays, and some pictures."""
    if number == 0:
        return "index.html", "favicon.ico"
    name, folder = f"{chance.getrandbits(40):010x}", chance.choice(("js", "js", "js", "css", "media"))
    changed = f"static/{folder}/{number:05}.{name}.chunk.{'css' if folder == 'css' else 'js'}"
    if chance.random() < 0.05:
        changed = f"locales/{chance.choice(('de', 'en', 'fr', 'ja'))}/{number:05}.json"
    if chance.random() < 0.1:
        return changed, f"static/media/{chance.getrandbits(40):010x}.png"
    return changed, f"uploads/{chance.getrandbits(32):08x}/avatar.png"


def photo_archive(chance: random.Random, number: int) -> tuple[str, str]:
    """Two months are imported, each picture with two thumbnails; others of ten years stay, some of November too."""
    picture, size = divmod(number, 3)
    name = ("original", "large", "small")[size]
    month = ("2025/11", "2025/12")[picture % 2]
    old = f"{chance.randint(2015, 2024)}/{chance.randint(1, 12):02}" if chance.random() < 0.95 else "2025/11"
    return f"photos/{month}/{name}/IMG_{picture:07}.jpg", f"photos/{old}/{name}/DSC_{number:07}.jpg"


SITES: dict[str, Callable[[random.Random, int], tuple[str, str]]] = {
    "documentation": documentation,
    "single-page app": single_page_app,
    "photo archive": photo_archive,
}


def deploy(site: str, objects: int) -> Deploy:
    """A deploy that changes so many objects; the same each time."""
    chance = random.Random(f"{site} {objects}")
    changed: list[str] = []
    unchanged: dict[str, None] = {}
    for number in range(objects):
        mine, stays = SITES[site](chance, number)
        changed.append(mine)
        unchanged |= dict.fromkeys(_stays(chance, stays))
    if objects > 1:
        chance.shuffle(changed)  # uploads run in parallel
    return Deploy(site, tuple(changed), tuple(sorted(unchanged.keys() - set(changed))))


def _stays(chance: random.Random, key: str) -> Iterator[str]:
    """More of the same, so that each change has as many unchanged objects beside it as the constant says."""
    yield key
    folder, _, name = key.rpartition("/")
    for _ in range(UNCHANGED_FOR_EACH - 1):
        yield f"{folder}/{chance.getrandbits(32):08x}-{name}".lstrip("/")
