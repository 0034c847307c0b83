"""CloudWatch metric math, as much of it as alarms commonly need: arithmetic, comparisons, IF."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

OPERATIONS: dict[type[ast.AST], Callable[[Any, Any], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def check(expression: str, names: set[str]) -> None:
    """Raise ValueError for an expression that `evaluate` cannot compute."""
    _value(_parse(expression), dict.fromkeys(names, 1.0), expression)


def evaluate(expression: str, values: Mapping[str, float | None]) -> float | None:
    """The expression's value; None if a metric that it needs has no data, or it divides by zero."""
    try:
        return _value(_parse(expression), values, expression)
    except (_NoDataError, ZeroDivisionError):
        return None


class _NoDataError(Exception):
    pass


def _parse(expression: str) -> ast.expr:
    try:
        return ast.parse(expression, mode="eval").body
    except SyntaxError:
        raise ValueError(f"the playground cannot read the metric math {expression!r}") from None


def _value(node: ast.expr, values: Mapping[str, float | None], expression: str) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in values:
            value = values[name]
            if value is None:
                raise _NoDataError
            return value
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in OPERATIONS:
            return OPERATIONS[type(operation)](_value(left, values, expression), _value(right, values, expression))
        case ast.Compare(left=left, ops=[operation], comparators=[right]) if type(operation) in OPERATIONS:
            return float(
                OPERATIONS[type(operation)](_value(left, values, expression), _value(right, values, expression))
            )
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, values, expression)
        case ast.Call(func=ast.Name(id="IF"), args=[condition, chosen, otherwise], keywords=[]):
            return _value(chosen if _value(condition, values, expression) else otherwise, values, expression)
    raise ValueError(f"the playground cannot compute the metric math {expression!r}: {ast.unparse(node)}")
