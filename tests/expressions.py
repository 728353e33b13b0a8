"""DynamoDB's expressions, read and evaluated: as much of them as boto3's conditions and Dossier's stores write.

The grammar is that of the Amazon DynamoDB Developer Guide. What is not supported raises ``NotImplementedError``, so
that no test continues with a wrong answer.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html
"""

from __future__ import annotations

import base64
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

Value = Mapping[str, Any]
"""A value in DynamoDB's own notation: ``{"S": "…"}``."""
Item = Mapping[str, Value]
TOKEN = re.compile(r"\s*([#:]\w+|[A-Za-z_]\w*|<>|<=|>=|[=<>(),])", re.ASCII)
COMPARATORS = ("=", "<>", "<", "<=", ">", ">=")
WORDS = {"AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE"}
ORDERED = {"S", "N", "B"}
"""Types whose values have an order."""


class RefusedError(Exception):
    """DynamoDB refuses a request."""

    def __init__(self, message: str, code: str = "ValidationException", item: Item | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.item = item
        """What the answer shows of the item, if the request asks for it."""


@dataclass(frozen=True)
class Scope:
    """What an expression is evaluated on: an item, and what the request's placeholders stand for."""

    item: Item
    names: Mapping[str, str]
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Name:
    """An attribute of the item: its name, or a placeholder for it."""

    word: str

    def of(self, names: Mapping[str, str]) -> str:
        """Return the attribute's name."""
        if not self.word.startswith("#"):
            return self.word
        if self.word not in names:
            raise RefusedError(
                f"An expression attribute name used in the document path is not defined; attribute name: {self.word}"
            )
        return names[self.word]

    def find(self, scope: Scope) -> Value | None:
        """Return the attribute's value, None if the item has no such attribute."""
        return scope.item.get(self.of(scope.names))


@dataclass(frozen=True)
class Literal:
    """A value that the request brings."""

    word: str

    def find(self, scope: Scope) -> Value:
        """Return the value."""
        if self.word not in scope.values:
            raise RefusedError(
                f"An expression attribute value used in expression is not defined; attribute value: {self.word}"
            )
        return scope.values[self.word]


Operand = Name | Literal


@dataclass(frozen=True)
class Test:
    """A comparison or a function of operands."""

    __test__ = False  # nothing that pytest collects
    kind: str
    operands: tuple[Operand, ...]

    def holds(self, scope: Scope) -> bool:
        """Tell whether it is so."""
        return TESTS[self.kind](*(each.find(scope) for each in self.operands))


@dataclass(frozen=True)
class Both:
    """Two conditions that must hold."""

    left: Condition
    right: Condition

    def holds(self, scope: Scope) -> bool:
        """Tell whether it is so."""
        return self.left.holds(scope) and self.right.holds(scope)


@dataclass(frozen=True)
class Either:
    """Two conditions of which one must hold."""

    left: Condition
    right: Condition

    def holds(self, scope: Scope) -> bool:
        """Tell whether it is so."""
        return self.left.holds(scope) or self.right.holds(scope)


@dataclass(frozen=True)
class Not:
    """A condition that must not hold."""

    condition: Condition

    def holds(self, scope: Scope) -> bool:
        """Tell whether it is so."""
        return not self.condition.holds(scope)


Condition = Test | Both | Either | Not


@dataclass(frozen=True)
class Update:
    """What an update does to an item."""

    sets: tuple[tuple[Name, Literal], ...]
    adds: tuple[tuple[Name, Literal], ...]
    removes: tuple[Name, ...]

    def targets(self, names: Mapping[str, str]) -> list[str]:
        """Return the names of the attributes that it writes or removes."""
        written = [name for name, _ in (*self.sets, *self.adds)]
        return [name.of(names) for name in (*written, *self.removes)]

    def apply(self, scope: Scope) -> dict[str, Value]:
        """Return the item as it is afterwards."""
        after = dict(scope.item)
        for name, value in self.sets:
            after[name.of(scope.names)] = value.find(scope)
        for name, value in self.adds:
            after[name.of(scope.names)] = _sum(name.find(scope), value.find(scope))
        for name in self.removes:
            after.pop(name.of(scope.names), None)
        return after


@lru_cache(maxsize=1024)
def condition(expression: str) -> Condition:
    """Read a condition (or key condition)."""
    parser = _Parser(expression)
    found = parser.either()
    parser.end()
    return found


@lru_cache(maxsize=1024)
def update(expression: str) -> Update:
    """Read an update expression."""
    parser = _Parser(expression)
    found = parser.update()
    parser.end()
    return found


@lru_cache(maxsize=1024)
def placeholders(expression: str) -> frozenset[str]:
    """Return the placeholders of names (``#n``) and values (``:v``) in an expression."""
    return frozenset(word for word in _tokens(expression) if word[0] in "#:")


def plain(value: Value) -> Any:
    """Return a value such that those that DynamoDB holds for equal are equal."""
    ((kind, content),) = value.items()
    return kind, PLAIN.get(kind, _same)(content)


def _same(content: Any) -> Any:
    return content


PLAIN: dict[str, Callable[[Any], Any]] = {
    "N": Decimal,
    "B": base64.b64decode,
    "L": lambda content: [plain(each) for each in content],
    "M": lambda content: {name: plain(each) for name, each in content.items()},
    "SS": frozenset,
    "NS": lambda content: frozenset(map(Decimal, content)),
    "BS": frozenset,
}


def _equal(left: Value | None, right: Value | None) -> bool:
    return left is not None and right is not None and plain(left) == plain(right)


def _in_order(holds: Callable[[Any, Any], bool]) -> Callable[[Value | None, Value | None], bool]:
    """Return a comparison by order: nothing is before or after a value of another type, or one that is not there."""

    def compare(left: Value | None, right: Value | None) -> bool:
        if left is None or right is None:
            return False
        (kind, one), (other_kind, other) = plain(left), plain(right)
        if other_kind not in ORDERED:
            raise RefusedError(f"Incorrect operand type for operator or function; operand type: {other_kind}")
        return kind == other_kind and holds(one, other)

    return compare


_at_least, _at_most = _in_order(operator.ge), _in_order(operator.le)


def _between(value: Value | None, low: Value | None, high: Value | None) -> bool:
    """Tell whether a value is in a range; bounds the wrong way round are refused, as DynamoDB does."""
    if low is not None and high is not None and not _at_most(low, high):
        raise RefusedError(
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound, of one data type"
        )
    return _at_least(value, low) and _at_most(value, high)


def _begins(value: Value | None, start: Value | None) -> bool:
    if start is None or set(start) != {"S"}:
        raise NotImplementedError(f"begins_with of {start}")
    return value is not None and "S" in value and value["S"].startswith(start["S"])


def _contains(value: Value | None, part: Value | None) -> bool:
    """Tell whether a text contains another, or a set or list an element."""
    if value is None or part is None:
        return False
    ((kind, content),) = value.items()
    if kind == "B":
        raise NotImplementedError(f"contains of {value}")
    if kind == "S":
        return "S" in part and part["S"] in content
    if kind == "L":
        return any(_equal(each, part) for each in content)
    if kind in {"SS", "NS", "BS"}:
        return any(_equal({kind[0]: each}, part) for each in content)
    return False


def _sum(value: Value | None, more: Value) -> Value:
    """Add to a number, which is 0 if it is not there."""
    if "N" not in more:
        raise NotImplementedError(f"ADD of {more}")
    if value is not None and "N" not in value:
        raise RefusedError("An operand in the update expression has an incorrect data type")
    total = Decimal(value["N"] if value else 0) + Decimal(more["N"])
    return {"N": format(total.normalize(), "f")}


TESTS: dict[str, Callable[..., bool]] = {
    "=": _equal,
    "<>": lambda left, right: not _equal(left, right),
    "<": _in_order(operator.lt),
    "<=": _at_most,
    ">": _in_order(operator.gt),
    ">=": _at_least,
    "BETWEEN": _between,
    "IN": lambda value, *others: any(_equal(value, each) for each in others),
    "attribute_exists": lambda value: value is not None,
    "attribute_not_exists": lambda value: value is None,
    "begins_with": _begins,
    "contains": _contains,
}
FUNCTIONS = {"attribute_exists": 1, "attribute_not_exists": 1, "begins_with": 2, "contains": 2}
"""Functions, by the number of their operands."""


def _tokens(expression: str) -> list[str]:
    found, at, text = [], 0, expression.rstrip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise NotImplementedError(f"expression: {expression}")
        found.append(match[1])
        at = match.end()
    return found


class _Parser:
    """Reads one expression by recursive descent."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._left = _tokens(expression)

    def end(self) -> None:
        """Fail if there is more."""
        if self._left:
            raise self._unknown()

    def either(self) -> Condition:
        """Read conditions between OR."""
        found = self._both()
        while self._skip("OR"):
            found = Either(found, self._both())
        return found

    def _both(self) -> Condition:
        found = self._not()
        while self._skip("AND"):
            found = Both(found, self._not())
        return found

    def _not(self) -> Condition:
        return Not(self._not()) if self._skip("NOT") else self._one()

    def _one(self) -> Condition:
        if self._skip("("):
            found = self.either()
            self._expect(")")
            return found
        if self._next in FUNCTIONS:
            return self._function()
        return self._comparison()

    def _function(self) -> Condition:
        kind = self._take()
        operands = self._list()
        if len(operands) != FUNCTIONS[kind]:
            raise self._unknown()
        return Test(kind, operands)

    def _comparison(self) -> Condition:
        left = self._operand()
        if self._skip("BETWEEN"):
            low = self._operand()
            self._expect("AND")
            return Test("BETWEEN", (left, low, self._operand()))
        if self._skip("IN"):
            return Test("IN", (left, *self._list()))
        kind = self._take()
        if kind not in COMPARATORS:
            raise self._unknown()
        return Test(kind, (left, self._operand()))

    def _list(self) -> tuple[Operand, ...]:
        """Read operands in parentheses."""
        self._expect("(")
        found = [self._operand()]
        while self._skip(","):
            found.append(self._operand())
        self._expect(")")
        return tuple(found)

    def _operand(self) -> Operand:
        return self._literal() if self._next.startswith(":") else self._name()

    def _literal(self) -> Literal:
        word = self._take()
        if not word.startswith(":"):
            raise self._unknown()
        return Literal(word)

    def _name(self) -> Name:
        word = self._take()
        if word.upper() in WORDS or not (word[0] == "#" or word.isidentifier()) or self._next == "(":
            raise self._unknown()
        if word.upper() in ReservedKeywords.get_reserved_keywords():
            raise RefusedError(f"Attribute name is a reserved keyword; reserved keyword: {word}")
        return Name(word)

    def update(self) -> Update:
        """Read the clauses of an update, each of which comes once."""
        found: dict[str, list[Any]] = {}
        while self._left:
            kind = self._take().upper()
            if kind not in {"SET", "REMOVE", "ADD"} or kind in found:
                raise self._unknown()
            found[kind] = [self._action(kind)]
            while self._skip(","):
                found[kind].append(self._action(kind))
        return Update(*(tuple(found.get(kind, ())) for kind in ("SET", "ADD", "REMOVE")))

    def _action(self, kind: str) -> Any:
        name = self._name()
        if kind == "REMOVE":
            return name
        if kind == "SET":
            self._expect("=")
        return name, self._literal()

    @property
    def _next(self) -> str:
        return self._left[0] if self._left else ""

    def _take(self) -> str:
        if not self._left:
            raise self._unknown()
        return self._left.pop(0)

    def _skip(self, word: str) -> bool:
        """Take a word if it is the next."""
        if self._next.upper() != word:
            return False
        self._take()
        return True

    def _expect(self, word: str) -> None:
        if not self._skip(word):
            raise self._unknown()

    def _unknown(self) -> Exception:
        return NotImplementedError(f"expression: {self._expression}")
