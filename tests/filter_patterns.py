"""The part of CloudWatch Logs' filter patterns for JSON log events that this project uses.

The emulator does not evaluate patterns. This follows the AWS documentation, "Using filter patterns to match terms in
JSON log events": a selector such as `$.message`, a string or number to compare it with, NOT EXISTS, and conditions in
parentheses, joined by `&&` only or by `||` only. It rejects everything else, and what that page does not specify.
"""

import json
import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from operator import ge, gt, le, lt
from typing import Any, cast

Matches = Callable[[dict[str, Any]], bool]

TOKEN = re.compile(r"""\s*(?:(\{|\}|\(|\)|&&|\|\||!=|<=|>=|=|<|>)|("[^"\\]*")|(NOT\ EXISTS)|([^\s(){}=!<>&|"]+))""")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
ORDER = {"<": lt, "<=": le, ">": gt, ">=": ge}


class FilterPatternError(Exception):
    """The pattern is invalid or not supported here, or the documentation does not say whether it matches."""


def matches(pattern: str, line: str) -> bool:
    """Whether a metric filter with this pattern counts this log line. Raises FilterPatternError."""
    parser = _Parser(pattern)
    try:
        event: Any = json.loads(line)
    except ValueError:
        return False
    return parser.condition(cast(dict[str, Any], event)) if isinstance(event, dict) else False


def value_of(event: str, selector: str) -> str:
    """The value of a metric's dimension, given its selector, for a line that matched."""
    return str(json.loads(event)[_field(selector)])


class _Parser:
    """Reads `{ condition }`."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._tokens = self._tokenize()
        self._take("{")
        self.condition = self._joined()
        self._take("}")
        if self._tokens:
            raise self._error("unexpected text after the closing brace")

    def _tokenize(self) -> list[str]:
        tokens: list[str] = []
        position = 0
        while position < len(self._pattern.rstrip()):
            found = TOKEN.match(self._pattern, position)
            if not found:
                raise self._error(f"unexpected {self._pattern[position:]!r}")
            tokens.append(found[0].strip())
            position = found.end()
        return tokens

    def _joined(self) -> Matches:
        """Conditions joined by one operator. Precedence is not supported."""
        conditions, operators = [self._condition()], set[str]()
        while self._tokens and self._tokens[0] in ("&&", "||"):
            operators.add(self._tokens.pop(0))
            conditions.append(self._condition())
        if len(operators) > 1:
            raise self._error("&& and || must not be mixed without parentheses")
        return _joined(conditions, decided_by=operators == {"||"})

    def _condition(self) -> Matches:
        if self._tokens and self._tokens[0] == "(":
            self._take("(")
            inner = self._joined()
            self._take(")")
            return inner
        name = _field(self._take())
        operator = self._take()
        if operator == "NOT EXISTS":
            return lambda event: name not in event
        value = self._take()
        if value.startswith('"') and operator in ("=", "!="):
            return self._text(name, operator, value[1:-1])
        if NUMBER.fullmatch(value) and operator in ORDER | {"=": None}:
            return self._number(name, operator, float(value))
        raise self._error(f"{name} {operator} {value} is not supported")

    def _text(self, name: str, operator: str, text: str) -> Matches:
        """An asterisk matches any characters. The comparison is case-sensitive."""
        if set(text) & set("?[]"):
            raise self._error(f"{text!r} may contain a wildcard")

        def condition(event: dict[str, Any]) -> bool:
            if operator == "!=" and name not in event:
                raise FilterPatternError(f"Whether a missing field matches != is not documented: {name}")
            value = event.get(name)
            if name in event and not isinstance(value, str):
                raise FilterPatternError(f"How a string matches {value!r} is not documented")
            return (isinstance(value, str) and fnmatchcase(value, text)) == (operator == "=")

        return condition

    def _number(self, name: str, operator: str, number: float) -> Matches:
        def condition(event: dict[str, Any]) -> bool:
            value = event.get(name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                return False
            return value == number if operator == "=" else ORDER[operator](value, number)

        return condition

    def _take(self, expected: str | None = None) -> str:
        if not self._tokens or (expected and self._tokens[0] != expected):
            raise self._error(f"{expected or 'a token'} is missing")
        return self._tokens.pop(0)

    def _error(self, why: str) -> FilterPatternError:
        return FilterPatternError(f"{self._pattern!r}: {why}")


def _joined(conditions: Sequence[Matches], *, decided_by: bool) -> Matches:
    """One True decides `||` and one False decides `&&`, even if another condition cannot be evaluated."""

    def condition(event: dict[str, Any]) -> bool:
        open_question: FilterPatternError | None = None
        for each in conditions:
            try:
                if each(event) == decided_by:
                    return decided_by
            except FilterPatternError as error:
                open_question = error
        if open_question:
            raise open_question
        return not decided_by

    return condition


def _field(selector: str) -> str:
    """The name in `$.name`. Nested fields and array items are not used."""
    found = re.fullmatch(r"\$\.(\w+)", selector)
    if not found:
        raise FilterPatternError(f"{selector!r} is not a supported selector")
    return found[1]
