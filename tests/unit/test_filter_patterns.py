"""The tests' own matcher of CloudWatch Logs filter patterns follows the AWS documentation."""

import json

import pytest

from tests.filter_patterns import FilterPatternError, matches, value_of

EVENT = json.dumps({"eventType": "UpdateTrail", "sourceIPAddress": "111.111.111.111", "code": 404, "level": "ERROR"})


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ('{ $.eventType = "UpdateTrail" }', True),
        ('{ $.eventType = "updatetrail" }', False),  # patterns are case-sensitive
        ('{ $.eventType = "Update" }', False),  # a string is compared as a whole
        ('{ $.eventType = "Update*" }', True),
        ('{ $.sourceIPAddress != "123.123.*" }', True),
        ('{ $.sourceIPAddress != "111.111.*" }', False),
        ("{ $.code = 404 }", True),
        ("{ $.code >= 405 }", False),
        ("{ $.code < 404.5 }", True),
        ("{ $.missing NOT EXISTS }", True),
        ("{ $.level NOT EXISTS }", False),
        ('{ $.missing = "UpdateTrail" }', False),
        ("{ $.missing > 1 }", False),
        ('{ ($.level = "ERROR") && ($.code = 404) }', True),
        ('{ ($.level = "ERROR") && ($.code = 500) }', False),
        ('{ ($.level = "INFO") || ($.code = 404) }', True),
        ('{ ($.level = "INFO") || ($.code = 500) }', False),
        ('{ ($.level = "ERROR") && (($.code = 500) || ($.code = 404)) }', True),
        ('{ ($.level = "INFO") && ($.missing != "x") }', False),  # regardless of the second condition
    ],
)
def test_a_pattern_matches_as_documented(pattern: str, expected: bool) -> None:
    assert matches(pattern, EVENT) is expected


@pytest.mark.parametrize("line", ["START RequestId: 1", '["ERROR"]', "", '"ERROR"'])
def test_a_line_that_is_not_a_json_object_never_matches(line: str) -> None:
    assert not matches('{ $.level = "ERROR" }', line)


@pytest.mark.parametrize(
    "pattern",
    [
        "ERROR",  # a pattern for lines that are not JSON
        '{ $.level = "ERROR"',
        '{ $.level = "ERROR" } x',
        "{ $.level = ERROR }",
        "{ $.level = %ERR% }",
        "{ $.level IS NULL }",
        '{ $.user.id = "1" }',
        '{ ($.a = "1") && ($.b = "2") || ($.c = "3") }',
        '{ $.level = "ERR?R" }',
        "{ $.level != 1 }",
    ],
)
def test_unsupported_patterns_are_rejected(pattern: str) -> None:
    with pytest.raises(FilterPatternError):
        matches(pattern, EVENT)


@pytest.mark.parametrize("pattern", ['{ $.missing != "x" }', '{ $.code = "404" }'])
def test_undocumented_matches_are_not_guessed(pattern: str) -> None:
    with pytest.raises(FilterPatternError, match="not documented"):
        matches(pattern, EVENT)


def test_a_dimension_is_a_field_of_the_line() -> None:
    assert value_of(EVENT, "$.eventType") == "UpdateTrail"
