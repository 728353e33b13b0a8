"""Map every failure of httpx to the tree of errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from dossier.errors import MalformedAnswerError, OutcomeUnknownError, VendorUnavailableError
from dossier.http import Effect
from dossier.transport.decoding import UnusableError

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
"""Failures before any byte of the request is sent."""


@contextmanager
def failures(effect: Effect, what: str) -> Iterator[None]:
    """Map each failure by its meaning for a request with ``effect``.

    If the failure came before the request was sent, the request was not performed. After that, a request that changes
    something may have been performed (``OutcomeUnknownError``). The text and cause of the httpx error are left out:
    they may contain the key or a signed URL.
    """
    lost = OutcomeUnknownError if effect is Effect.UNSAFE else VendorUnavailableError
    try:
        yield
    except NOT_SENT as error:
        name = type(error).__name__
        raise VendorUnavailableError(f"{what}: no connection to the vendor ({name})", unreachable=name) from None
    except httpx.DecodingError as error:
        raise lost(f"{what}: the answer cannot be decoded ({error})") from None
    except UnusableError as error:
        text = f"{what}: the answer cannot be decoded: it {error}"
        raise (OutcomeUnknownError if effect is Effect.UNSAFE else MalformedAnswerError)(text) from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict) as error:
        raise lost(f"{what}: the answer was lost ({type(error).__name__})") from None
