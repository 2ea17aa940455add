"""Path patterns of cache behaviours, and the URLs that viewers write for a location.

Sources: CFD "Cache behavior settings", Path pattern (``*`` is any run of characters, slashes included; ``?`` exactly
one; case-sensitive; the leading slash is optional) and Path normalization (repeated slashes and dot segments are
removed, and the path is normalised as RFC 3986 says, before it is matched).

What is matched is the path as the viewer wrote it. RFC 3986 normalisation decodes ``%41`` but not ``%2B``: a location
with any character but letters, digits and ``-._~/`` has several URLs, and one pattern may match only some of them. So
there are two questions, each answered on its safe side: whether a pattern *may* match, and whether it *must*.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from invalidation.cloudfront.paths import normalised

_ONE_SPELLING: Final = re.compile(r"[A-Za-z0-9._~/-]*")
_SEVERAL_SPELLINGS: Final = re.compile(r"[^A-Za-z0-9._~/-]")
_UNMATCHED: Final = "\0"


class PathPattern:
    """One path pattern, ``images/*.jpg``; the default behaviour's is ``*``."""

    def __init__(self, pattern: str) -> None:
        tokens = re.sub(r"\*+", "*", pattern)
        rooted = tokens if tokens.startswith("/") else "/" + tokens
        self.literal_start = re.split(r"[*?]", rooted, maxsplit=1)[0]
        """The text before the first wildcard: everything that the pattern matches begins with it."""
        # The documentation does not say whether a wildcard that comes first may stand for the leading slash, as in
        # "*/index.html" for "/index.html". For "*.jpg" both come to the same.
        slash_may_be_matched = re.match(r"\?|\*[/?]", tokens) is not None
        self._globs = [_Glob(rooted), _Glob(tokens)] if slash_may_be_matched else [_Glob(rooted)]

    def may_match(self, forms: frozenset[str]) -> bool:
        """Whether some URL for the location matches; ``forms`` as ``matched_forms`` gives them."""
        return any(glob.may_match(form) for glob in self._globs for form in forms)

    def must_match(self, forms: frozenset[str]) -> bool:
        """Whether every URL for the location matches."""
        return all(glob.must_match(form) for glob in self._globs for form in forms)


class _Glob:
    def __init__(self, tokens: str) -> None:
        self._regex = re.compile(_regex(tokens))
        self._literal_end = re.split(r"[*?]", tokens)[-1]
        self._stars = _positions(tokens, "*")
        self._singles = _positions(tokens, "?")
        self._literals = {t: _positions(tokens, t) | self._singles for t in tokens if t not in "*?"}
        self._end = 1 << len(tokens)

    def must_match(self, form: str) -> bool:
        """Only ``*`` matches a character that has several spellings, whichever the viewer uses."""
        return self._regex.fullmatch(_SEVERAL_SPELLINGS.sub(_UNMATCHED, form)) is not None

    def may_match(self, form: str) -> bool:
        if _ONE_SPELLING.fullmatch(form):
            return self._regex.fullmatch(form) is not None
        end = form[-len(self._literal_end) :]
        if self._literal_end and _ONE_SPELLING.fullmatch(end) and end != self._literal_end:
            return False  # for speed only: most patterns end in an extension
        reached = self._past_star(1)
        for char in form:
            reached = self._after_any_spelling(reached, char)
            if not reached:
                return False
        return bool(reached & self._end)

    def _after_any_spelling(self, reached: int, char: str) -> int:
        after = 0
        for spelling in _spellings(char):
            along = reached
            for each in spelling:
                along = self._after(along, each)
            after |= along
        return after

    def _after(self, reached: int, char: str) -> int:
        """The positions in the pattern, a bit each, that are possible after ``char``."""
        matching = self._literals.get(char, self._singles)
        return self._past_star((reached & matching) << 1 | (reached & self._stars))

    def _past_star(self, reached: int) -> int:
        return reached | (reached & self._stars) << 1


def key_filter(globs: Sequence[str]) -> Callable[[str], object]:
    """Something true for a key that is one of these. ``*`` is any run of characters, slashes included, ``?`` one."""
    translated = {"*": ".*", "?": "."}
    either = "|".join("".join(translated.get(t, re.escape(t)) for t in glob) for glob in globs)
    return re.compile(either, re.DOTALL).fullmatch


def matched_forms(location: str) -> frozenset[str]:
    """What patterns are compared with. The location, and as CloudFront normalises it (to be safe, either may count)."""
    if "//" not in location and "/." not in location:
        return frozenset({location})
    return frozenset({location, normalised(location)})


def _regex(tokens: str) -> str:
    """The glob as a regular expression that never goes back over a ``*``. Keys are written by strangers."""
    first, *others = ["".join(f"[^{_UNMATCHED}]" if t == "?" else re.escape(t) for t in p) for p in tokens.split("*")]
    if not others:
        return first
    *inner, last = others
    return first + "".join(f"(?>.*?{part})" for part in inner) + ".*" + last


def _positions(tokens: str, wanted: str) -> int:
    return sum(1 << index for index, token in enumerate(tokens) if token == wanted)


@lru_cache(maxsize=4_096)
def _spellings(char: str) -> frozenset[str]:
    """How a URL may hold the character. Raw (one character, or its UTF-8 bytes), encoded, and ``+`` for a space."""
    if _ONE_SPELLING.fullmatch(char):
        return frozenset(char)
    raw_bytes = char.encode(errors="surrogatepass").decode("latin-1")
    encoded = quote(char, safe="", errors="surrogatepass")
    return frozenset({char, raw_bytes, encoded} | ({"+"} if char == " " else set()))
