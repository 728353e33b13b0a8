"""Who may ask the console: loopback's own names, the session that the printed URL opens, pages of the console alone."""

from __future__ import annotations

import httpx
import pytest
from starlette.routing import Route

from console.app import PAGES
from console.security import POLICY, Session
from tests.console.conftest import BASE, PORT, Visitor


def stranger(visitor: Visitor) -> httpx.Client:
    """Return a client of the same console without its cookie."""
    return httpx.Client(transport=visitor.http._transport, base_url=BASE, trust_env=False)


def test_the_token_becomes_a_cookie_and_leaves_the_address(visitor: Visitor) -> None:
    """The cookie is for this port, hidden from scripts, and never sent along with another site's request."""
    answer = stranger(visitor).get(visitor.session.url)
    assert (answer.status_code, answer.headers["location"]) == (303, "/cases")
    assert visitor.session.token not in answer.headers["set-cookie"]
    name, _, attributes = answer.headers["set-cookie"].partition("=")
    assert name == f"dossier_console_{PORT}"
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(attributes.split("; "))


@pytest.mark.rule("security: open the console without its URL")
@pytest.mark.parametrize("path", ["/", "/cases", "/static/console.css", "/no-such-page", *PAGES])
def test_nothing_is_shown_without_the_session(visitor: Visitor, path: str) -> None:
    """Not even whether a page exists."""
    assert stranger(visitor).get(path).status_code == 401
    cookie = {"cookie": f"dossier_console_{PORT}=guessed"}
    assert stranger(visitor).get(path, headers=cookie).status_code == 401


@pytest.mark.rule("security: open the console without its URL")
def test_a_wrong_token_opens_nothing(visitor: Visitor) -> None:
    """Neither does that of another run."""
    for token in ("", "wrong", Session(PORT).token):
        answer = stranger(visitor).get("/", params={"token": token})
        assert answer.status_code in {401, 403}
        assert "set-cookie" not in answer.headers


@pytest.mark.rule("security: reach the console through the operator's browser")
@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1", f"127.0.0.1.evil.example:{PORT}", ""]
)
def test_a_foreign_host_is_refused(visitor: Visitor, host: str) -> None:
    """A name that resolves to loopback is another host (DNS rebinding), whatever else fits."""
    assert visitor.http.get("/cases", headers={"host": host}).status_code == 421
    assert visitor.http.get(visitor.session.url, headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"[::1]:{PORT}", f"LOCALHOST:{PORT}"])
def test_the_names_of_loopback_are_accepted(visitor: Visitor, host: str) -> None:
    """Each of them is this machine."""
    assert visitor.http.get("/cases", headers={"host": host}).status_code == 200


@pytest.mark.rule("security: reach the console through the operator's browser")
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_request_that_another_site_caused_is_refused(visitor: Visitor, site: str) -> None:
    """Another port of this machine is the same site, and nothing of ours."""
    assert visitor.http.get("/cases", headers={"sec-fetch-site": site}).status_code == 403
    headers = {"sec-fetch-site": site, "origin": BASE}
    assert visitor.http.post("/cases", data={"csrf": visitor.session.csrf}, headers=headers).status_code == 403


def actions(visitor: Visitor) -> list[str]:
    """Return the paths of all actions, filled in."""
    app = visitor.http._transport._app.app  # type: ignore[attr-defined]
    paths = [each.path for each in app.routes if isinstance(each, Route) and "POST" in (each.methods or ())]
    return [path.replace("{connection}", "invoices").replace("{reference}", "R-1") for path in paths]


@pytest.mark.rule("security: act through the operator's browser")
def test_every_action_needs_its_origin_and_the_sessions_token(visitor: Visitor) -> None:
    """A form of another site, and one that another site has guessed, do nothing."""
    good = {"csrf": visitor.session.csrf}
    foreign: list[dict[str, str]] = [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "null", "sec-fetch-site": "none"},
        {"origin": f"http://127.0.0.1:{PORT + 1}"},
        {"origin": f"http://localhost:{PORT}"},  # the request's host is 127.0.0.1
    ]
    for path in [*actions(visitor), "/cases"]:
        for headers in foreign:
            assert visitor.http.post(path, data=good, headers=headers).status_code == 403, (path, headers)
    for path in actions(visitor):
        for fields in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": visitor.session.token}):
            answer = visitor.http.post(path, data=fields, headers={"origin": BASE})
            assert answer.status_code == 403, (path, fields)
    assert visitor.trail() == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(visitor: Visitor, method: str) -> None:
    """Nothing else is needed."""
    assert visitor.http.request(method, "/cases").status_code == 405


@pytest.mark.rule("security: run a script in the console with a name or a document")
def test_every_answer_has_the_headers(visitor: Visitor) -> None:
    """Pages, files, refusals and what is missing."""
    answers = [
        visitor.http.get("/cases"),
        visitor.http.get("/static/console.js"),
        visitor.http.get("/static/htmx.min.js"),
        visitor.http.get("/no-such-page"),
        visitor.http.get("/cases", headers={"host": "evil.example"}),
        stranger(visitor).get("/cases"),
    ]
    for each in answers:
        assert each.headers["content-security-policy"] == POLICY
        assert each.headers["x-content-type-options"] == "nosniff"
        assert each.headers["referrer-policy"] == "no-referrer"
        assert each.headers["cross-origin-resource-policy"] == "same-origin"
    assert "unsafe" not in POLICY
    assert answers[0].headers["cache-control"] == "no-store"
    assert "immutable" in answers[1].headers["cache-control"]


def test_no_page_has_an_inline_script_or_style(visitor: Visitor) -> None:
    """The policy would block it; the pages do without."""
    page = visitor.get("/cases")
    assert "<script>" not in page
    assert "<style" not in page
    assert " style=" not in page
    assert " on" not in {part[:3] for part in page.split("<")}
