"""An expression is parsed and checked once, not once for each item that it is evaluated on.

DynamoDB reads the items of a key range, whatever else its partition has. MiniStack evaluates the key condition on every
item of the partition, and for each of them splits the same expression into tokens and checks its grammar: with 10,000
cases of a connection, a query of the first 51 takes half a second, nearly all of it for that. The bridge keeps what an
expression was split into, and what the checks said of it. Expressions have placeholders for names and values, so a
deployment has few of them.
"""

from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any

from local.aws.pinned import dynamodb, replace

MOST = 2000
"""Most answers that are kept."""


def install() -> None:
    """Install the bridge."""
    replace(dynamodb, "_tokenize", "expr", _tokenize)
    replace(dynamodb, "_check_redundant_parens", "tokens, slot", _check_redundant_parens)
    replace(dynamodb, "_check_reserved_keyword_usage", "tokens", _check_reserved_keyword_usage)
    replace(dynamodb, "_condition_syntax_error", "expr, slot", _condition_syntax_error)


@lru_cache(maxsize=MOST)
def _kept(original: Callable[..., Any], *words: Hashable) -> Any:
    """Return what a function of MiniStack says, as it said it before."""
    return original(*words)


def _tokenize(original: Callable[[str], list[tuple[str, str]]], expr: str) -> list[tuple[str, str]]:
    return list(_kept(original, expr))  # a caller may change its list


def _check_redundant_parens(
    original: Callable[..., str | None], tokens: list[tuple[str, str]], slot: str = "ConditionExpression"
) -> str | None:
    found: str | None = _kept(original, tuple(tokens), slot)
    return found


def _check_reserved_keyword_usage(original: Callable[..., str | None], tokens: list[tuple[str, str]]) -> str | None:
    found: str | None = _kept(original, tuple(tokens))
    return found


def _condition_syntax_error(original: Callable[..., str | None], expr: str, slot: str) -> str | None:
    found: str | None = _kept(original, expr, slot)
    return found
