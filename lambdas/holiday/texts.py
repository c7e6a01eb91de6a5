"""What the caller's texts may hold: anything that can be seen, in every script."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta

TripId = Annotated[str, Meta(min_length=1, max_length=128, description="1 to 128 characters that can be seen")]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
Timestamp = Annotated[str, Meta(max_length=200, description="ISO 8601, for example 2021-07-07T06:00:00.000Z")]

ISO_8601 = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}(T[0-9:.,]+(Z|[+-][0-9:]+)?)?")
JOINERS = re.compile(r"[\u200c\u200d\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Invisible, but scripts and emoji need them inside a text: joiners and variation selectors."""
BLANK = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u2065\u2800\u3164\uffa0\ufff0-\ufff8\U00016fe4\U0001d159\U000e0000-\U000e0fff]"
)
"""What shows nothing although its category is a letter's, a mark's or a symbol's, or not assigned yet."""


def check_text(field: str, text: str) -> None:
    """Raises ValueError if something in it cannot be seen, or nothing can."""
    for character in "" if text.isascii() and text.isprintable() else text:
        category = unicodedata.category(character)
        point = ord(character)
        if category == "Cc" or category in ("Zl", "Zp"):
            raise ValueError(f"`{field}` holds a control character (U+{point:04X})")
        if JOINERS.match(character):
            continue
        if category == "Cf" or BLANK.match(character) or point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF:
            raise ValueError(f"`{field}` holds U+{point:04X}, which cannot be seen")
    if not JOINERS.sub("", text).strip():
        raise ValueError(f"`{field}` is blank: leave it out, or write something")


def check_id(field: str, text: str) -> None:
    """Raises ValueError if two ids could look the same because of what cannot be seen."""
    check_text(field, text)
    if joiner := JOINERS.search(text):
        raise ValueError(f"`{field}` holds U+{ord(joiner[0]):04X}, which cannot be seen")
    if text != text.strip():
        raise ValueError(f"`{field}` begins or ends with a space")


def check_order(request: object, start: str, end: str) -> None:
    """Raises ValueError if one of these two fields is not a time, or the end is before the start."""
    first, last = getattr(request, start), getattr(request, end)
    if _instant(end, last) < _instant(start, first):
        raise ValueError(f"`{end}` ({last}) is before `{start}` ({first})")


def _instant(field: str, text: str) -> datetime:
    """A time without an offset is read as UTC."""
    try:
        if not ISO_8601.fullmatch(text):
            raise ValueError
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"`{field}` is not an ISO 8601 time such as 2021-07-07T06:00:00.000Z: {text!r}") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
