"""Text from elsewhere, such as keys and error messages, as it is shown to a person: a terminal obeys none of it."""

from __future__ import annotations

LONGEST = 400


def shown(text: object, longest: int = LONGEST) -> str:
    r"""The text in one line, what does not print spelled out (`\x1b`, `\n`, `\u202e`), cut where it is long."""
    whole = str(text)
    kept = whole if len(whole) <= longest else whole[: longest - 1] + "…"
    return "".join(character if character.isprintable() else _spelled(character) for character in kept)


def _spelled(character: str) -> str:
    """As Python writes it; unlike `unicode_escape` for lone surrogates as well."""
    return repr(character)[1:-1]


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 key`, `2 keys`, `1,000 keys`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
