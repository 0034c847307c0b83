"""Conditions over a log line's fields, as Logs Insights writes them after `filter`."""

import re
from collections.abc import Callable, Mapping
from typing import Any

Fields = Mapping[str, Any]
Condition = Callable[[Fields], bool]

TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
      | /(?P<regex>(?:\\.|[^/\\])+)/(?P<flags>i?)
      | (?P<number>-?\d+(?:\.\d+)?(?![\w.]))
      | (?P<name>[@\w][\w.@]*|`[^`]+`)
      | (?P<sign>!=|>=|<=|=~|[=<>()\[\],*])
    )""",
    re.VERBOSE,
)
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda left, right: bool(left == right),
    "!=": lambda left, right: bool(left != right),
    ">": lambda left, right: bool(left > right),
    ">=": lambda left, right: bool(left >= right),
    "<": lambda left, right: bool(left < right),
    "<=": lambda left, right: bool(left <= right),
}


class QueryError(ValueError):
    """A query that the playground cannot run; the message names the part."""


class Parser:
    """A recursive descent over one condition."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokens(text))

    def condition(self) -> Condition:
        """The whole text as one condition."""
        condition = self._either()
        if self._tokens:
            raise QueryError(f"the playground cannot read {self._text!r} from {self._tokens[0][1]!r} on")
        return condition

    def _either(self) -> Condition:
        left = self._both()
        while self._accept("name", "or"):
            left = _any(left, self._both())
        return left

    def _both(self) -> Condition:
        left = self._one()
        while self._accept("name", "and"):
            left = _all(left, self._one())
        return left

    def _one(self) -> Condition:
        if self._accept("name", "not"):
            inner = self._one()
            return lambda fields: not inner(fields)
        if self._accept("sign", "("):
            inner = self._either()
            self._expect("sign", ")")
            return inner
        kind, name = self._take()
        if kind != "name":
            raise QueryError(f"the playground expects a field in {self._text!r}, not {name!r}")
        if name.lower() == "ispresent" and self._accept("sign", "("):
            _, field = self._take()
            self._expect("sign", ")")
            return lambda fields: fields.get(field) is not None
        return self._comparison(name)

    def _comparison(self, field: str) -> Condition:
        negated = self._accept("name", "not")
        if self._accept("name", "like") or self._accept("sign", "=~"):
            pattern = self._pattern()
            return lambda fields: bool(pattern.search(str(fields.get(field, "")))) != negated
        if self._accept("name", "in"):
            values = self._list()
            return lambda fields: (fields.get(field) in values) != negated
        kind, sign = self._take()
        if kind != "sign" or sign not in COMPARISONS or negated:
            raise QueryError(f"the playground cannot compare by {sign!r} in {self._text!r}")
        compare, value = COMPARISONS[sign], self._value()
        return lambda fields: _compared(compare, fields.get(field), value)

    def _pattern(self) -> re.Pattern[str]:
        kind, text = self._take()
        if kind == "regex":
            return re.compile(text)
        if kind == "text":
            return re.compile(re.escape(text))
        raise QueryError(f"the playground expects a pattern in {self._text!r}, not {text!r}")

    def _list(self) -> list[Any]:
        self._expect("sign", "[")
        values = [self._value()]
        while self._accept("sign", ","):
            values.append(self._value())
        self._expect("sign", "]")
        return values

    def _value(self) -> Any:
        kind, text = self._take()
        if kind == "number":
            return float(text)
        if kind == "text":
            return text
        raise QueryError(f"the playground expects a number or a text in {self._text!r}, not {text!r}")

    def _take(self) -> tuple[str, str]:
        if not self._tokens:
            raise QueryError(f"{self._text!r} ends too early")
        return self._tokens.pop(0)

    def _accept(self, kind: str, text: str) -> bool:
        if self._tokens and self._tokens[0][0] == kind and self._tokens[0][1].lower() == text:
            self._tokens.pop(0)
            return True
        return False

    def _expect(self, kind: str, text: str) -> None:
        if not self._accept(kind, text):
            raise QueryError(f"the playground expects {text!r} in {self._text!r}")


def tokens(text: str) -> list[tuple[str, str]]:
    """Kind and text of each token; raises QueryError for what is none."""
    found, position = [], 0
    while position < len(text.rstrip()):
        match = TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise QueryError(f"the playground cannot read {text[position:]!r}")
        kind = "regex" if match["regex"] else match.lastgroup
        value = match[kind]
        if kind == "text":
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        elif kind == "regex" and match["flags"]:
            value = f"(?i){value}"
        found.append((kind, value.strip("`") if kind == "name" else value))
        position = match.end()
    return found


def _any(left: Condition, right: Condition) -> Condition:
    return lambda fields: left(fields) or right(fields)


def _all(left: Condition, right: Condition) -> Condition:
    return lambda fields: left(fields) and right(fields)


def _compared(compare: Callable[[Any, Any], bool], stored: Any, value: Any) -> bool:
    """A field that is missing, or of another type, matches nothing but `!=`."""
    if isinstance(value, float):
        try:
            stored = float(stored)
        except (TypeError, ValueError):
            return compare is COMPARISONS["!="]
    elif stored is not None:
        stored = str(stored)
    elif compare is not COMPARISONS["!="]:
        return False
    return compare(stored, value)
