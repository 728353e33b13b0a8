"""Access control of the console, and the headers of every answer.

The console has the operator's AWS credentials, so a page of another site must neither reach it nor be reached from it:

- It listens on loopback, and a request has to name that as its host: a foreign name that resolves to 127.0.0.1 (DNS
  rebinding) is another host.
- The printed URL has a token. It is exchanged for a cookie and leaves the address. The cookie is not readable by
  scripts (``HttpOnly``) and is never sent along with a request of another site (``SameSite=Strict``).
- A request that another site or another port of this machine has caused is refused (``Sec-Fetch-Site``).
- A POST has to come from a page of the console (``Origin``), and has to carry the session's CSRF token.
- Pages have no inline script or style, load nothing from elsewhere and stand in no frame (Content Security Policy).

https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CSRF = "csrf"
"""The field of each form that proves that a page of this session has it."""
MOST_FIELDS = 5000
"""Most fields of a form: a bulk action names each of its cases."""
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
SANDBOX = "sandbox; default-src 'none'; frame-ancestors 'none'"
"""The policy of a file that is shown or downloaded: it has no origin, runs nothing and loads nothing."""
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}
"""Headers of every answer that does not set them itself."""
_FOREIGN = {"cross-site", "same-site"}
"""``Sec-Fetch-Site`` of a request that another site, or another port of this machine, has caused."""


class Session:
    """The secrets of one run of the console.

    Attributes:
        token: stands in the printed URL.
        cookie_name: has the port, because the cookies of all ports of a host are sent to each of them.

    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.token = secrets.token_urlsafe(32)
        self.cookie_name = f"dossier_console_{port}"
        self._cookie = secrets.token_urlsafe(32)

    @property
    def url(self) -> str:
        """The address that is printed."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that a request may name."""
        return tuple(f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]"))

    @property
    def csrf(self) -> str:
        """The token of this session's forms."""
        return hmac.new(self._cookie.encode(), CSRF.encode(), hashlib.sha256).hexdigest()

    def knows(self, headers: Headers) -> bool:
        """Whether a request has the session's cookie."""
        return _same(cookie_parser(headers.get("cookie", "")).get(self.cookie_name, ""), self._cookie)

    def opens(self, token: str) -> bool:
        """Whether a token is that of the printed URL."""
        return _same(token, self.token)

    def enter(self) -> Response:
        """Return the answer that sets the cookie and leads to the first page, without the token in its address."""
        answer = RedirectResponse("/cases", 303)
        answer.set_cookie(self.cookie_name, self._cookie, path="/", httponly=True, samesite="strict")
        return answer


class Guard:
    """ASGI middleware that rejects forbidden requests, and sets the headers of all answers."""

    def __init__(self, app: ASGIApp, *, session: Session) -> None:
        self._app = app
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"the console answers HTTP only, not {scope['type']}")

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._answer(scope, Headers(scope=scope))
        await (answer or self._app)(scope, receive, headed)

    def _answer(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the guard's own answer; None for an allowed request."""
        if refused := self._foreign(scope["method"], headers):
            return _refusal(*refused)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        if scope["path"] == "/" and scope["method"] == "GET" and given:
            fits = self._session.opens(given[-1])
            return (
                self._session.enter()
                if fits
                else _refusal(403, "this token is from another run: see `dossier console`")
            )
        if not self._session.knows(headers):
            return _refusal(401, "open the URL that `dossier console` printed")
        return None

    def _foreign(self, method: str, headers: Headers) -> tuple[int, str] | None:
        """Return status and reason for a request that somebody else has caused; None if it may be the operator's."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._session.hosts:
            return 421, "this console answers on 127.0.0.1, localhost and [::1] only"
        if headers.get("sec-fetch-site") in _FOREIGN:
            return 403, "another site may not send requests to this console"
        if method not in {"GET", "HEAD", "POST"}:
            return 405, "use GET or POST"
        if method == "POST" and not _is_own(headers, hosts[0]):
            return 403, "only a page of this console may act"
        return None


def _is_own(headers: Headers, host: str) -> bool:
    """Whether a page of the console has sent a POST.

    With ``Referrer-Policy: no-referrer`` a browser names no origin in the POST of a form (``null``); then it has to say
    that the request comes from the same origin. No page can set either header.
    https://fetch.spec.whatwg.org/#append-a-request-origin-header
    """
    origin = headers.get("origin")
    return origin == f"http://{host}" or (origin == "null" and headers.get("sec-fetch-site") == "same-origin")


def _refusal(status: int, why: str) -> Response:
    return PlainTextResponse(f"{why}\n", status)


def _same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode(), known.encode())


def guarded(
    act: Callable[[Request], Awaitable[Response]], session: Session
) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint for POST that refuses a form without the session's CSRF token; every action is one."""

    async def endpoint(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=MOST_FIELDS)
        given = form.get(CSRF)
        if not isinstance(given, str) or not _same(given, session.csrf):
            return _refusal(403, "this form is from another run of the console: go back and load the page again")
        return await act(request)

    return endpoint
