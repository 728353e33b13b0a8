"""Signatures of deliveries: published vectors, the vendors' libraries, and deliveries that must be rejected."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
import standardwebhooks
import stripe
from hypothesis import given
from hypothesis import strategies as st

from dossier.signatures import Delivery, Rule, identity, verify
from tests.unit.signing import BODY, NOW, WHSEC, digest, signed

HEX = Rule("hmac-sha256-hex", "X-DocuStack-Signature")
GITHUB = Rule("hmac-sha256-hex", "X-Hub-Signature-256", "sha256=")
STANDARD = Rule("standard-webhooks")
STRIPE = Rule("timestamped-hmac")
SHARED = Rule("shared-secret", "X-Webhook-Token")
PATH = Rule("path-token")
RULES = (HEX, GITHUB, STANDARD, STRIPE, SHARED, PATH)


def changed(delivery: Delivery, **headers: str) -> Delivery:
    """Return the delivery with other headers (``webhook_id="x"``)."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Delivery(delivery.body, {**delivery.headers, **given}, delivery.token)


@pytest.mark.rule("security: pass a signature that almost matches")
@pytest.mark.parametrize(
    ("key", "data", "expected"),
    [
        (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (bytes(range(1, 26)), b"\xcd" * 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
        (
            b"\x0c" * 20,
            b"Test With Truncation",
            "a3b6167473100ee06e0c796c2955552bfa6f7c0a6a8aef8b93f860aab0cd20c5",
        ),
    ],
    ids=["case 1", "case 2", "case 4", "case 5"],
)
def test_vectors_of_rfc_4231(key: bytes, data: bytes, expected: str) -> None:
    """HMAC-SHA256 of RFC 4231, section 4, where the key is text (a secret is): cases 1, 2, 4 and 5."""
    delivery = Delivery(data, {"x-docustack-signature": expected})
    assert verify(HEX, delivery, [key.decode()])
    assert not verify(HEX, Delivery(data + b".", delivery.headers), [key.decode()])


@pytest.mark.rule("security: pass a signature that almost matches")
def test_vector_of_githubs_documentation() -> None:
    """The example of https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries."""
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    delivery = Delivery(b"Hello, World!", {"x-hub-signature-256": signature})
    assert verify(GITHUB, delivery, ["It's a Secret to Everybody"])
    assert not verify(GITHUB, changed(delivery, x_hub_signature_256=signature[7:]), ["It's a Secret to Everybody"])
    assert verify(GITHUB, changed(delivery, x_hub_signature_256=signature.upper()), ["It's a Secret to Everybody"])
    assert not verify(HEX, delivery, ["It's a Secret to Everybody"])


def test_vector_of_the_standard() -> None:
    """The vector that the libraries of Standard Webhooks are tested with."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert verify(STANDARD, Delivery(b'{"test": 2432232314}', headers), [WHSEC], now=1614265330)


@pytest.mark.rule("security: pass a signature that almost matches")
@pytest.mark.parametrize(
    "secret", [WHSEC, WHSEC.removeprefix("whsec_"), "whsec_" + base64.b64encode(b"x" * 31).decode()]
)
def test_the_standards_library_signs_and_dossier_verifies(secret: str) -> None:
    """A delivery of a vendor that uses ``standardwebhooks`` is accepted, padding of its secret or not."""
    at = datetime.now(UTC)
    signature = standardwebhooks.Webhook(secret).sign("msg_2b", at, BODY.decode())
    headers = {"webhook-id": "msg_2b", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
    assert verify(STANDARD, Delivery(BODY, headers), [secret])
    assert verify(STANDARD, Delivery(BODY, headers), [secret.rstrip("=")])


def test_dossier_verifies_like_the_standards_library() -> None:
    """The library accepts the signatures of these tests."""
    delivery = signed(STANDARD, WHSEC, at=int(time.time()))
    assert standardwebhooks.Webhook(WHSEC).verify(BODY, dict(delivery.headers)) == {
        "case_id": "case__1",
        "title": "Müller \u2013 🙂",
    }
    assert verify(STANDARD, delivery, [WHSEC])


@pytest.mark.rule("security: pass a signature that almost matches")
def test_stripes_library_signs_and_dossier_verifies() -> None:
    """Dossier accepts signatures of ``stripe``'s code, which accepts those of these tests."""
    now = int(time.time())
    signature = stripe.WebhookSignature._compute_signature(f"{now}.{BODY.decode()}", "whsec_stripe")  # type: ignore[attr-defined]
    assert verify(STRIPE, Delivery(BODY, {"stripe-signature": f"t={now},v1={signature},v0=old"}), ["whsec_stripe"])
    header = signed(STRIPE, "whsec_stripe", at=now).headers["stripe-signature"]
    assert stripe.WebhookSignature.verify_header(BODY.decode(), header, "whsec_stripe", tolerance=300)  # type: ignore[attr-defined]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.scheme + rule.prefix)
class TestEveryScheme:
    """Rules of every scheme."""

    def test_the_right_secret_proves_a_delivery(self, rule: Rule) -> None:
        """The right delivery is accepted, with the secret among others, at any position."""
        delivery = signed(rule, WHSEC)
        assert verify(rule, delivery, [WHSEC], now=NOW)
        assert verify(rule, delivery, ["b3RoZXI=", WHSEC, "x"], now=NOW)
        assert verify(rule, delivery, ["", WHSEC], now=NOW)

    def test_another_secret_does_not_prove_a_delivery(self, rule: Rule) -> None:
        """A delivery that is signed with another secret is rejected."""
        assert not verify(rule, signed(rule, "whsec_b3RoZXI="), [WHSEC], now=NOW)

    @pytest.mark.rule("security: send a forged delivery that is accepted")
    @pytest.mark.parametrize("secrets", [[], [""], ["", ""]])
    def test_a_delivery_without_a_secret_is_rejected(self, rule: Rule, secrets: list[str]) -> None:
        """An empty or missing secret proves nothing, not even a delivery signed with it."""
        assert not verify(rule, signed(rule, WHSEC), secrets, now=NOW)
        assert not verify(rule, signed(rule, ""), secrets, now=NOW)

    def test_a_delivery_without_a_signature_is_rejected(self, rule: Rule) -> None:
        """A delivery with a missing or empty signature or token is rejected."""
        assert not verify(rule, Delivery(BODY, {}), [WHSEC], now=NOW)
        empty = dict.fromkeys((*signed(rule, WHSEC).headers, "webhook-signature", rule.header.lower()), "")
        assert not verify(rule, Delivery(BODY, empty), [WHSEC], now=NOW)
        if rule.prefix:
            assert not verify(rule, Delivery(BODY, {rule.header.lower(): rule.prefix}), [WHSEC], now=NOW)

    def test_a_header_that_was_sent_twice_proves_as_much_as_once(self, rule: Rule) -> None:
        """API Gateway joins repeated headers with a comma; a blank after it changes nothing."""
        delivery = signed(rule, WHSEC)
        for comma in (",", ", "):
            twice = {name: f"{value}{comma}{value}" for name, value in delivery.headers.items()}
            assert verify(rule, Delivery(BODY, twice, delivery.token), [WHSEC], now=NOW)
            assert not verify(rule, Delivery(BODY + b" ", twice), [WHSEC], now=NOW) or rule is SHARED

    @pytest.mark.rule("security: repeat an old delivery, or send one from the future")
    def test_the_same_delivery_is_known_by_its_digest(self, rule: Rule) -> None:
        """Sent once or twice, in a retry too; another body is another delivery."""
        delivery = signed(rule, WHSEC)
        twice = Delivery(BODY, {name: f"{value},{value}" for name, value in delivery.headers.items()}, delivery.token)
        assert identity(rule, delivery) == identity(rule, signed(rule, WHSEC))
        assert identity(rule, delivery) != identity(rule, signed(rule, WHSEC, BODY + b" "))
        if rule is not STRIPE:
            assert identity(rule, delivery) == identity(rule, twice)
            assert identity(rule, delivery) == identity(rule, signed(rule, WHSEC, at=NOW + 60))

    @pytest.mark.parametrize("odd", ["é", "\udcff", "🙂", "\x00", "a" * 10_000, "=", "sha256=", "v1,", "t=1,v1=", ","])
    def test_odd_headers_are_rejected(self, rule: Rule, odd: str) -> None:
        """A non-ASCII, too long or partial signature is a rejection, never an exception."""
        headers = dict.fromkeys((*signed(rule, WHSEC).headers, rule.header.lower()), odd)
        assert not verify(rule, Delivery(BODY, headers, odd), [WHSEC, "ë", "\u20ac"], now=NOW)

    @pytest.mark.rule("security: send a forged delivery that is accepted")
    def test_an_unknown_scheme_is_rejected(self, rule: Rule) -> None:
        """Nothing is guessed: the same headers under another scheme's name prove nothing."""
        assert not verify(Rule("none", rule.header, rule.prefix), signed(rule, WHSEC), [WHSEC], now=NOW)
        assert not verify(Rule("", rule.header), signed(rule, WHSEC), [WHSEC], now=NOW)


@pytest.mark.rule("security: change a signed delivery")
@pytest.mark.parametrize("rule", [HEX, GITHUB, STANDARD, STRIPE], ids=lambda rule: rule.scheme + rule.prefix)
@given(data=st.data())
def test_one_changed_byte_of_the_body_is_detected(rule: Rule, data: st.DataObject) -> None:
    """Whatever the body and the change, a signed body cannot be altered, cut or lengthened."""
    body = data.draw(st.binary(min_size=1, max_size=60))
    other = data.draw(st.binary(max_size=61).filter(lambda each: each != body))
    delivery = signed(rule, WHSEC, body)
    assert verify(rule, delivery, [WHSEC], now=NOW)
    assert not verify(rule, Delivery(other, delivery.headers), [WHSEC], now=NOW)


@pytest.mark.rule("security: send a forged delivery that is accepted")
@given(
    rule=st.sampled_from(RULES),
    body=st.binary(max_size=50),
    headers=st.dictionaries(
        st.sampled_from(
            [
                "x-docustack-signature",
                "x-hub-signature-256",
                "webhook-id",
                "webhook-timestamp",
                "webhook-signature",
                "stripe-signature",
                "x-webhook-token",
            ]
        ),
        st.text(max_size=80) | st.sampled_from([str(NOW), "v1,AAAA", f"t={NOW},v1=00", "sha256=00"]),
    ),
    token=st.text(max_size=40),
    secrets=st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40), max_size=3),
)
def test_no_invented_delivery_is_accepted(
    rule: Rule, body: bytes, headers: Mapping[str, str], token: str, secrets: list[str]
) -> None:
    """Invented deliveries are rejected without an exception, unless they contain the secret."""
    says = token in secrets if rule.scheme == "path-token" else headers.get(rule.header.lower()) in secrets
    if rule.scheme in {"path-token", "shared-secret"} and says:
        return
    assert not verify(rule, Delivery(body, headers, token), secrets, now=NOW)


@pytest.mark.rule("security: repeat an old delivery, or send one from the future")
@pytest.mark.parametrize("rule", [STANDARD, STRIPE], ids=lambda rule: rule.scheme)
@pytest.mark.parametrize(
    ("ago", "accepted"),
    [(0, True), (300, True), (-300, True), (301, False), (-301, False), (10**6, False), (-(10**6), False)],
)
def test_time_is_bounded_both_ways(rule: Rule, ago: int, accepted: bool) -> None:
    """A delivery that is too old is a replay; one from the future would be one later."""
    assert verify(rule, signed(rule, WHSEC, at=NOW - ago), [WHSEC], now=NOW) is accepted


def test_the_tolerance_is_a_setting() -> None:
    """A connection may allow more, or less."""
    rule = Rule("timestamped-hmac", tolerance=10)
    assert verify(rule, signed(rule, WHSEC, at=NOW - 10), [WHSEC], now=NOW)
    assert not verify(rule, signed(rule, WHSEC, at=NOW - 11), [WHSEC], now=NOW)


@pytest.mark.rule("security: repeat an old delivery, or send one from the future")
@pytest.mark.parametrize(
    "stamp",
    ["", "-1", "+1700000000", "1700000000.0", " 1700000000", "1_700_000_000", "\u0661", "9" * 400, "0x65", "nan"],
)
def test_a_signed_time_consists_of_digits(stamp: str) -> None:
    """A number that Python would read, but the vendor would not write, is no time, even if it is signed."""
    key = base64.b64decode(WHSEC.removeprefix("whsec_"))
    signature = base64.b64encode(digest(key, f"msg_1.{stamp}.".encode() + BODY)).decode()
    delivery = changed(signed(STANDARD, WHSEC), webhook_timestamp=stamp, webhook_signature=f"v1,{signature}")
    assert not verify(STANDARD, delivery, [WHSEC], now=NOW)
    mac = digest(WHSEC.encode(), f"{stamp}.".encode() + BODY).hex()
    assert not verify(STRIPE, Delivery(BODY, {"stripe-signature": f"t={stamp},v1={mac}"}), [WHSEC], now=NOW)


@pytest.mark.rule("security: change a signed delivery")
def test_the_standard_signs_its_id_too() -> None:
    """Another message id, or none, is another message."""
    delivery = signed(STANDARD, WHSEC)
    assert not verify(STANDARD, changed(delivery, webhook_id="msg_2"), [WHSEC], now=NOW)
    assert not verify(STANDARD, changed(delivery, webhook_id=""), [WHSEC], now=NOW)
    assert not verify(STANDARD, changed(delivery, webhook_timestamp=str(NOW + 1)), [WHSEC], now=NOW)


def test_several_signatures_in_one_header() -> None:
    """During a rotation a vendor signs with each secret; one matching signature of the known version is enough."""
    good = signed(STANDARD, WHSEC).headers["webhook-signature"]
    many = f"v1,AAAA v1a,{good[3:]} v2,{good[3:]} {good}"
    assert verify(STANDARD, changed(signed(STANDARD, WHSEC), webhook_signature=many), [WHSEC], now=NOW)
    without = f"v1,AAAA v1a,{good[3:]} v2,{good[3:]} {good[3:]}"
    assert not verify(STANDARD, changed(signed(STANDARD, WHSEC), webhook_signature=without), [WHSEC], now=NOW)
    header = signed(STRIPE, WHSEC).headers["stripe-signature"]
    stamp, _, mac = header.partition(",v1=")
    assert verify(STRIPE, Delivery(BODY, {"stripe-signature": f"{stamp},v1=00,v1={mac}"}), [WHSEC], now=NOW)
    assert not verify(STRIPE, Delivery(BODY, {"stripe-signature": f"{stamp},v0={mac}"}), [WHSEC], now=NOW)
    assert not verify(STRIPE, Delivery(BODY, {"stripe-signature": f"t=1,{header}"}), [WHSEC], now=NOW)


def test_svix_header_names_are_accepted() -> None:
    """Svix sends ``svix-…`` headers; they count only if the standard's headers are missing."""
    delivery = signed(STANDARD, WHSEC)
    theirs = {name.replace("webhook-", "svix-"): value for name, value in delivery.headers.items()}
    assert verify(STANDARD, Delivery(BODY, theirs), [WHSEC], now=NOW)
    assert verify(Rule("standard-webhooks", "webhook-signature"), Delivery(BODY, theirs), [WHSEC], now=NOW)
    assert not verify(Rule("standard-webhooks", "x-own"), Delivery(BODY, theirs), [WHSEC], now=NOW)
    assert not verify(STANDARD, Delivery(BODY, {**theirs, "webhook-id": "msg_2"}), [WHSEC], now=NOW)


def test_blanks_after_commas() -> None:
    """Some write ``t=…, v1=…``, and ``v1, …``."""
    header = signed(STRIPE, WHSEC).headers["stripe-signature"]
    assert verify(STRIPE, Delivery(BODY, {"stripe-signature": header.replace(",", " , ")}), [WHSEC], now=NOW)
    upper = header.replace(header.rpartition("=")[2], header.rpartition("=")[2].upper())
    assert verify(STRIPE, Delivery(BODY, {"stripe-signature": upper}), [WHSEC], now=NOW)
    standard = signed(STANDARD, WHSEC)
    spaced = standard.headers["webhook-signature"].replace("v1,", "v1, ")
    assert verify(STANDARD, changed(standard, webhook_signature=spaced), [WHSEC], now=NOW)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_====", "whsec_not base64!", "whsec_é"])
def test_a_malformed_secret_of_the_standard_is_rejected(secret: str) -> None:
    """A secret that is not base64, or holds nothing, proves nothing."""
    empty = base64.b64encode(digest(b"", b"msg_1.%d." % NOW + BODY)).decode()
    delivery = changed(signed(STANDARD, WHSEC), webhook_signature=f"v1,{empty}")
    assert not verify(STANDARD, delivery, [secret], now=NOW)


def test_the_setting_selects_the_header() -> None:
    """The default headers give way to the connection's own."""
    stripe_like = Rule("timestamped-hmac", "X-Vendor-Signature")
    header = signed(STRIPE, WHSEC).headers["stripe-signature"]
    assert verify(stripe_like, Delivery(BODY, {"x-vendor-signature": header}), [WHSEC], now=NOW)
    assert not verify(stripe_like, Delivery(BODY, {"stripe-signature": header}), [WHSEC], now=NOW)
    for scheme in ("hmac-sha256-hex", "shared-secret"):
        assert not verify(Rule(scheme), Delivery(BODY, {"": WHSEC}), [WHSEC], now=NOW)


@pytest.mark.rule("security: guess a secret from the time of an answer")
def test_comparison_takes_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every secret is compared, each with ``hmac.compare_digest``, whichever fits first."""
    compared: list[bool] = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(real(a, b)) or compared[-1])
    for rule in RULES:
        compared.clear()
        assert verify(rule, signed(rule, WHSEC), [WHSEC, "b3RoZXI=", "dGhpcmQ="], now=NOW)
        assert compared == [True, False, False]
