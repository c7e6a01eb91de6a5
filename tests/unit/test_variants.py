"""The changes that slow tests make to the sources fit the sources, which is known here in a second."""

from pathlib import Path

import pytest

from tests.deploy import variants


def test_the_marked_code_is_a_service_that_says_which_code_ran(tmp_path: Path) -> None:
    folder = variants.code_marked(tmp_path / "lambdas", "second")

    assert 'code: str = "second"' in (folder / "holiday" / "messages.py").read_text()
    assert '"code": "second"' in (folder / "holiday" / "bookings.py").read_text()


def test_the_hotels_of_the_page_and_their_drain_fit_the_stack(tmp_path: Path) -> None:
    variants.with_hotels(tmp_path, drain=3)

    assert "drain=Duration.seconds(3)" in (tmp_path / "holiday_stack" / "stack.py").read_text()


def test_a_text_that_stands_nowhere_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"flights\.py does not say 'no such text' once"):
        variants.edited(tmp_path / "lambdas", {"flights.py": ("no such text", "")})
