"""What the caller's texts may contain: visible characters of any script.

The expressions below validate requests and, as `pattern` and `not`, are in the JSON schema in Restate's UI, so both
accept the same texts. They use the dialect that Python, JavaScript and Rust share: four-digit escapes, the character
itself where that is too short, and no `^` or `$` whose meaning depends on a final line break.
"""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import Meta

SPACES = r" \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
JOINERS = "\\u200c\\u200d\\u180b-\\u180d\\u180f\\ufe00-\\ufe0f\U000e0100-\U000e01ef"
"""Joiners and variation selectors: invisible, but some scripts and emoji need them."""
UNSEEN = (
    # controls, line and paragraph separators, and what Unicode calls format characters
    r"\u0000-\u001f\u007f-\u009f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f"
    r"\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff"
    # invisible although categorized as a letter, mark or symbol, or not assigned yet
    r"\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
    "\U00016fe4\U0001d159\U000e01f0-\U000e0fff"
    # noncharacters, which Unicode never assigns
    r"\ufdd0-\ufdef\ufffe\uffff"
    + "".join(chr(plane + last) for plane in range(0x10000, 0x110000, 0x10000) for last in (0xFFFE, 0xFFFF))
)

VISIBLE = f"[^{SPACES}{JOINERS}]"
NOT_IN_A_TEXT = f"[{UNSEEN}]"
NOT_IN_AN_ID = f"[{UNSEEN}{JOINERS}]|^[{SPACES}]|[{SPACES}]$"

_HOUR, _60 = "([01][0-9]|2[0-3])", "[0-5][0-9]"
_MONTH, _DAY = "(0[1-9]|1[0-2])", "(0[1-9]|[12][0-9]|3[01])"
_DATE = f"[0-9]{{4}}(-{_MONTH}-|{_MONTH}){_DAY}"
_TIME = f"{_HOUR}(:{_60}(:{_60}([.,][0-9]+)?)?|{_60}({_60}([.,][0-9]+)?)?)?"
ISO_8601 = f"^{_DATE}(T{_TIME}(Z|[+-]{_HOUR}(:?{_60})?)?)?$"
_NO_LEAP = "([02468][1235679]|[13579][01345789])"  # not a multiple of four
NO_SUCH_DAY = rf"^0000|^....-?(02-?3|(0[469]|11)-?31)|^([0-9]{{2}}{_NO_LEAP}|{_NO_LEAP}00)-?02-?29|\n"


def _checked(pattern: str, refused: str) -> dict[str, Any]:
    return {"pattern": pattern, "not": {"pattern": refused}}


TripId = Annotated[str, Meta(min_length=1, max_length=128, extra_json_schema=_checked(VISIBLE, NOT_IN_AN_ID))]
"""1 to 128 visible characters."""
Text = Annotated[str, Meta(min_length=1, max_length=200, extra_json_schema=_checked(VISIBLE, NOT_IN_A_TEXT))]
Timestamp = Annotated[str, Meta(max_length=200, extra_json_schema=_checked(ISO_8601, NO_SUCH_DAY))]
"""An ISO 8601 date, or date and time."""


def check_text(field: str, text: str) -> None:
    """Raise ValueError if the text is blank or contains an invisible character."""
    if text.isascii() and text.isprintable() and text.strip():
        return  # most texts: the expressions below are for the rest of Unicode, and cost more
    if unseen := re.search(NOT_IN_A_TEXT, text):
        raise ValueError(f"`{field}` must not contain {_named(unseen[0])}")
    if not re.search(VISIBLE, text):
        raise ValueError(f"`{field}` must not be blank: leave it out or give it a value")


def check_id(field: str, text: str) -> None:
    """Raise ValueError if the id could look the same as another because of invisible characters or outer spaces."""
    check_text(field, text)
    if refused := re.search(NOT_IN_AN_ID, text):
        if refused[0].isspace():
            raise ValueError(f"`{field}` must not begin or end with a space")
        raise ValueError(f"`{field}` must not contain {_named(refused[0])}")


def check_order(request: object, start: str, end: str) -> None:
    """Raise ValueError if one of these two fields is not a time, or the end is before the start."""
    first, last = getattr(request, start), getattr(request, end)
    if _instant(end, last) < _instant(start, first):
        raise ValueError(f"`{end}` ({last}) must not be before `{start}` ({first})")


def _named(character: str) -> str:
    point = f"U+{ord(character):04X}"
    if unicodedata.category(character) in ("Cc", "Zl", "Zp"):
        return f"a control character ({point})"
    return f"{point}, which is invisible"


def _instant(field: str, text: str) -> datetime:
    if not re.search(ISO_8601, text) or re.search(NO_SUCH_DAY, text):
        raise ValueError(f"`{field}` must be an ISO 8601 time such as 2021-07-07T06:00:00.000Z, not {text!r}")
    instant = datetime.fromisoformat(text)  # without an offset it is UTC
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
