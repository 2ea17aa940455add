"""Invalidation paths: how a location at the edge is spelled so that CloudFront purges it.

A *location* is a decoded viewer path, ``/about us/ü.html``; a *path* is what CreateInvalidation is sent,
``/about%20us/%C3%BC.html``. An invalidation for a wrong path succeeds and does nothing, so where the documentation
leaves a doubt the doubt is paid for: with a further spelling, or with a wildcard from the doubtful character on.

Sources: CFD "What you need to know when invalidating paths" and "… tags"; RFC 1738 section 2.2; RFC 3986 section 5.2.4.
"""

from __future__ import annotations

import re
import string
from functools import cache
from os.path import commonprefix
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote_to_bytes

from invalidation.cloudfront.limits import MAX_PATH_LENGTH, MAX_TAG_LENGTH
from invalidation.cloudfront.tags import tag_problems
from invalidation.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


UNSAFE: Final = ' "<>#%{}|\\^~[]`'
"""RFC 1738's unsafe characters. CloudFront wants these and non-ASCII encoded, and nothing else."""

_LEFT_ALONE: Final = "".join(c for c in string.punctuation if c not in UNSAFE + "?")
_LEFT_ALONE_BY_COMPONENT: Final = "/!'()*"

_ENCODED: Final = re.compile(r"/[!-)+-~]*\*?")
"""Visible ASCII characters, ``*`` only as the last of them (CFD, invalidation-specifying-objects)."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9._/!'()-]*")
_DOT_SEGMENT: Final = re.compile(r"(?<=/)\.\.?(?=/|\Z)")
_WAY_UP: Final = re.compile(r"(?<=/)\.\.(?=/|\Z)")
_DOUBTFUL: Final = re.compile(r"[*~\x00-\x1f\x7f\ud800-\udfff]|(?<=/)\.\.?(?=/|\Z)")
"""What no spelling is known to purge, or to be accepted for. ``*`` and ``~``: encoded they are accepted and purge
nothing, a raw ``~`` is refused (aws/aws-sdk#525, apancutt/deploy-aws-s3-cloudfront#7). Control characters, lone
surrogates and dot segments: nobody says; one refused path would fail the whole batch that it travels in."""

_ACCEPTED: Final = (
    "Accepted are paths as CloudFront wants them: /images/a.jpg, /caf%C3%A9.html, /images/*, /a.jpg?size=2 (a slash "
    f"first, at most {MAX_PATH_LENGTH} characters, a * only at the end), and cache tags: #product:42 (at most "
    f"{MAX_TAG_LENGTH} characters, no wildcard)."
)
_OCTET: Final = "(?:[^%]|%..)"
_CHARACTER: Final = rf"(?:[^%]|%[^c-f].|%[cd].{_OCTET}|%e.{_OCTET}{{2}}|%f.{_OCTET}{{3}})"
"""One character as people know it: ``ü`` is ``%C3%BC``, and no wildcard may end between the two (RFC 3629).

How many octets a character has, follows from the first of them, even where they are not UTF-8 at all: so no character
is the beginning of another one.
"""
_UNRESERVED_TRIPLET: Final = re.compile(r"%(?:2[DdEe]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff])")


def encode(text: str) -> str:
    """Percent-encode as CloudFront documents it: non-ASCII (as UTF-8), unsafe characters and ``?``, nothing else.

    >>> encode("/a+b (1)/ü?.html")
    '/a+b%20(1)/%C3%BC%3F.html'
    """
    return quote(text, safe=_LEFT_ALONE, errors="surrogatepass").replace("~", "%7E")


def invalidation_paths(location: str, *, spellings: bool = True) -> tuple[str, ...]:
    """The paths that purge ``location``, the documented spelling first. Each is at most 4,000 characters.

    A doubtful character (``*``, ``~``, a control character, a lone surrogate, a dot segment) cuts the path right
    before itself, and ``*`` stands for the rest: ``/img/a~b.png`` gives ``/img/a*``. The bound of that widening is the
    text before the character; a key that begins with one gives ``/*``. A path that would be too long is cut as well.

    With ``spellings``, what a viewer's URL may have looked like in the cache is sent too, one path each, and only for
    locations that have such characters:

    - ``%2B`` for a plus: CloudFront documents a raw one, but S3 takes that for a space, so that every viewer of such a
      key writes ``%2B`` (rust-lang/crates.io#4891, and #14062 for invalidations).
    - ``+`` for a space: S3 understands it as well, and such URLs are cached apart (rust-lang/crates.io#4891; in
      ir-engine/etherealengine-archive#10622 only ``+`` purged).
    - encodeURIComponent's spelling of ``& = : @ $ , ;``.
    - the location as CloudFront normalises it, where it has ``//`` or ``/./``. Not where ``..`` leads out of a folder:
      ``uploads/../index.html`` would purge ``/index.html``, and a storm of such keys ``/*``, for whoever may
      write below ``uploads/`` alone. The origin is asked for the path as it was (CFD, "Path normalization"), so that
      nobody gets such an object under the other path.

    A viewer who encodes more than that (``%28`` for a parenthesis, ``%2F`` for a slash), or spells one character in two
    ways in one URL, is not followed: the documentation has one spelling purge them all.
    """
    if _PLAIN.fullmatch(location) and not _unnormalised(location) and len(location) <= MAX_PATH_LENGTH:
        return (location,)
    found = _spelled(location, spellings=spellings)
    if spellings and _unnormalised(location) and not _WAY_UP.search(location):
        found += _spelled(normalised(location), spellings=True)
    return tuple(dict.fromkeys(found))


def normalised(location: str) -> str:
    """The location without repeated slashes and dot segments, as CloudFront matches it with patterns.

    Source: CFD "Cache behavior settings", Path normalization. The origin is asked for the path as it was.

    >>> normalised("//a/./b/../c/")
    '/a/c/'
    """
    kept: list[str] = []
    segments = re.sub("/+", "/", location).split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)


def with_query_strings(path: str) -> str:
    """The path together with every query string: ``path*`` (CFD, "Forwarding query strings").

    It reaches ``path-and-more`` as well, and ``/*`` for ``/``: nothing narrower is documented.
    """
    return path if path.endswith("*") else _shortened(path, MAX_PATH_LENGTH - 1) + "*"


def covers(sent: str, path: str) -> bool:
    """Whether invalidating ``sent`` (exact, or with a final ``*``) also invalidates ``path``."""
    return path.startswith(sent[:-1]) if sent.endswith("*") else sent == path


def count_locations(paths: Iterable[str]) -> int:
    """How many locations the encoded paths purge: spellings of one count once.

    They are told by what they decode to, with a plus taken for a space: two keys that differ in these alone count once.
    """
    return len({_decoded(path) for path in paths})


def common_folder(paths: Sequence[str]) -> tuple[str, set[str]]:
    """The deepest folder, decoded, that all the encoded paths are below. And those of them that are its index page.

    A plus counts as a space. Index pages are spelled as the folder is, without its slash. Wildcards are below the
    folder that they begin in.

    >>> common_folder(["/a%20b", "/a%20b/x*", "/a+b/x/y"])
    ('/a b/', {'/a%20b'})
    """
    texts = {path: unquote_to_bytes(path).decode("latin-1").replace("+", " ") for path in paths}
    shortest = min(texts.values(), key=len, default="")
    index = {path for path, text in texts.items() if text == shortest and not text.endswith(("/", "*"))}
    below = [text for path, text in texts.items() if path not in index]
    if not below or not all(text.startswith(f"{shortest}/") for text in (min(below), max(below))):
        index, below = set(), list(texts.values())
    common = commonprefix((min(below, default=""), max(below, default="")))  # noqa: RUF071 - cut at a slash below
    return common[: common.rfind("/") + 1] or "/", index


def narrowed(paths: set[str]) -> tuple[str, ...]:
    """The paths, sorted, without those that a wildcard among them covers."""
    wildcards = {path for path in paths if path.endswith("*")}
    return tuple(sorted(p for p in paths if not any(w != p and covers(w, p) for w in wildcards)))


def valid_path(path: str) -> str:
    """Check a path or ``#tag`` that somebody wrote, and return it as it is.

    Raises:
        InvalidRequest: CloudFront would refuse it, or accept it and purge nothing. Says what is wrong, and what is
            accepted.
    """
    problems = tag_problems(path[1:]) if path.startswith("#") else _path_problems(path)
    for problem in problems:
        shown = path if len(path) <= 200 else path[:200] + "…"
        raise InvalidRequest(f"{shown!r} is not an invalidation path: {problem}. {_ACCEPTED}")
    return path


def encoding_fault(path: str) -> str:
    """What is wrong with the encoded path, or "" when CloudFront takes it (CFD, invalidation-specifying-objects)."""
    if _ENCODED.fullmatch(path) and len(path) <= MAX_PATH_LENGTH:
        return ""
    if not path.startswith("/"):
        return "does not begin with /"
    if len(path) > MAX_PATH_LENGTH:
        return f"has {len(path):,} characters, more than {MAX_PATH_LENGTH:,}"
    if "*" in path[:-1]:
        return "has a * that is not its last character"
    return "is not percent-encoded"


def begins_within_character(prefix: str) -> bool:
    """Whether ``prefix`` ends in the middle of a character."""
    return len(whole_prefix(prefix)) < len(prefix)


def whole_prefix(prefix: str) -> str:
    """The prefix without the beginning of a character at its end."""
    whole = _characters("*+").match(prefix)
    return whole[0] if whole else ""


def character_at(path: str, start: int) -> str:
    """The whole character that begins there in an encoded path; "" at its end."""
    found = _characters("").match(path, start)
    return found[0] if found else ""


@cache
def _characters(repeated: str) -> re.Pattern[str]:
    """Compiled when it is needed first: most handlers cut no path."""
    return re.compile(_CHARACTER + repeated, re.IGNORECASE)


def _unnormalised(location: str) -> bool:
    return "//" in location or _DOT_SEGMENT.search(location) is not None


def _decoded(path: str) -> str:
    text = unquote_to_bytes(path).decode("latin-1").replace("+", " ") if "%" in path or "+" in path else path
    return normalised(text) if _unnormalised(text) else text


def _spelled(location: str, *, spellings: bool) -> list[str]:
    doubtful = _DOUBTFUL.search(location)
    known = location[: doubtful.start()] if doubtful else location
    found = [encode(known)]
    if spellings:
        found += [encode(known).replace("+", "%2B"), _component(known)]
        found += [path.replace("%20", "+") for path in found]
    return [_ended(path, wildcard=doubtful is not None) for path in found]


def _component(text: str) -> str:
    return quote(text, safe=_LEFT_ALONE_BY_COMPONENT)


def _ended(path: str, *, wildcard: bool) -> str:
    if len(path) + wildcard <= MAX_PATH_LENGTH:
        return path + "*" * wildcard
    return _shortened(path, MAX_PATH_LENGTH - 1) + "*"


def _shortened(path: str, length: int) -> str:
    """At most ``length`` characters of an encoded path, never ending inside a character."""
    if len(path) <= length:
        return path
    short = re.sub(r"%[0-9A-F]?\Z", "", path[:length])
    while (triplets := re.search(r"(?:%[0-9A-F]{2})+\Z", short)) and not _is_utf8(triplets[0]):
        short = short[:-3]
    return short


def _is_utf8(triplets: str) -> bool:
    try:
        unquote_to_bytes(triplets).decode()
    except UnicodeDecodeError:
        return False
    return True


def _path_problems(path: str) -> Iterator[str]:
    location = path.partition("?")[0]
    if not path.startswith("/"):
        yield "it does not begin with a slash"
    if len(path) > MAX_PATH_LENGTH:
        yield f"it is {len(path)} characters long, more than {MAX_PATH_LENGTH}"
    if "*" in path[:-1]:
        yield "the wildcard * may only be its last character"
    if re.search(r"%(?![0-9A-Fa-f]{2})", path):
        yield "a percent sign is not followed by two hexadecimal digits (a literal one is %25)"
    if "~" in path or re.search("%(?:7e|2a)", location, re.IGNORECASE):
        yield "CloudFront purges no literal ~ or *, however spelled: end the path in * right before it"
    if raw := re.search(r"[^!-~]|[\"<>#{}|\\^\[\]`]", path):
        yield f"{raw[0]!r} has to be percent-encoded as {encode(raw[0])}"
    if needless := _UNRESERVED_TRIPLET.search(location):
        letter = unquote_to_bytes(needless[0]).decode()
        yield f"{needless[0]} is encoded needlessly, and then CloudFront purges nothing: write {letter}"
