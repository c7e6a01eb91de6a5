"""The expressions of patterns.py agree with Unicode's own tables and with the calendar.

test_trip_request.py tests whole requests, and tests/saga the same patterns in the schema that Restate serves."""

import re
import unicodedata
from datetime import date

import pytest

from holiday.patterns import ISO_8601, JOINERS, NO_SUCH_DAY, NOT_IN_A_TEXT, SPACES, VISIBLE, check_text


def test_control_format_and_unassigned_characters_are_refused() -> None:
    """According to this Python's tables. New versions of Unicode add characters, so more may be refused than these."""
    joiner, space = re.compile(f"[{JOINERS}]"), re.compile(f"[{SPACES}]")
    wrong: list[str] = []
    for point in (*range(0xD800), *range(0xE000, 0x110000)):
        character = chr(point)
        category = unicodedata.category(character)
        invisible = category in ("Cc", "Cf", "Zl", "Zp") or point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF
        refused = bool(re.search(NOT_IN_A_TEXT, character))
        if (invisible and not refused and not joiner.match(character)) or (refused and joiner.match(character)):
            wrong.append(f"U+{point:04X}")
        if bool(space.match(character)) != (character.isspace() and not refused):
            wrong.append(f"U+{point:04X}")

    assert wrong == []


@pytest.mark.parametrize("dash", ["-", ""])
@pytest.mark.parametrize("year", [0, 1, 4, 100, 400, 1900, 2000, 2021, 2024, 2100, 2400, 9999])
def test_a_day_must_be_in_the_calendar(year: int, dash: str) -> None:
    wrong: list[str] = []
    for month in range(14):
        for day in range(33):
            try:
                exists = bool(date(year, month, day))
            except ValueError:
                exists = False
            text = f"{year:04}{dash}{month:02}{dash}{day:02}"
            if exists != (bool(re.search(ISO_8601, text)) and not re.search(NO_SUCH_DAY, text)):
                wrong.append(text)

    assert wrong == []


def test_the_shortcut_for_ascii_accepts_what_the_expressions_accept() -> None:
    characters = [chr(point) for point in range(0x80)]
    texts = ["", *characters, *(f"a{each}" for each in characters), *(f"{each}a" for each in characters)]
    wrong = [
        text
        for text in texts
        if _is_accepted(text) == bool(re.search(NOT_IN_A_TEXT, text) or not re.search(VISIBLE, text))
    ]

    assert wrong == []


def _is_accepted(text: str) -> bool:
    try:
        check_text("rental", text)
    except ValueError:
        return False
    return True
