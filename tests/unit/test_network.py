"""Where connections may go, and how long they may take: over real sockets, on loopback."""

from __future__ import annotations

import datetime
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpcore
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dossier import network
from dossier.errors import UntrustedUrlError
from dossier.network import PUBLIC_ONLY, Network, within
from tests.servers import answer, saying, serving

PUBLIC = "93.184.216.34"


class Sockets(httpcore.NetworkBackend):
    """Connections to loopback, whatever address was requested."""

    def __init__(self, *, dead: Iterable[str] = ()) -> None:
        self.asked: list[str] = []
        self._dead = set(dead)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the same port here."""
        self.asked.append(host)
        if host in self._dead:
            raise httpcore.ConnectError("unreachable")
        return httpcore.SyncBackend().connect_tcp("127.0.0.1", port, timeout)


class Names:
    """A resolver that says something else each time."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, _port: int) -> list[str]:
        """Return the next answer."""
        self.asked.append(host)
        return self.answers.pop(0)


def get(guarded: Network, url: str) -> httpx.Response:
    """Fetch a URL from public addresses only."""
    with httpx.Client(transport=guarded, trust_env=False, timeout=5) as client:
        return client.get(url, extensions={PUBLIC_ONLY: True})


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ssl.SSLContext, ssl.SSLContext]]:
    """Return a server's and a client's context; the certificate is for ``storage.test``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "storage.test")])
    day, now = datetime.timedelta(days=1), datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("storage.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file: Path = tmp_path_factory.mktemp("tls") / "storage.pem"
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(secret + certificate.public_bytes(pem))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    yield server, ssl.create_default_context(cafile=str(file))


@pytest.mark.rule("security: do the same with a name that changes (DNS rebinding)")
def test_a_checked_address_is_the_one_connected_to() -> None:
    """A name that resolves to loopback a moment later (DNS rebinding) was asked once, and gains nothing."""
    names, sockets = Names([PUBLIC], ["127.0.0.1"]), Sockets()
    with serving(saying(answer(b"ok"))) as server:
        assert get(Network(resolve=names, sockets=sockets), f"http://storage.test:{server.port}/").text == "ok"
    assert (names.asked, sockets.asked) == (["storage.test"], [PUBLIC])
    assert f"host: storage.test:{server.port}".encode() in server.heads[0].lower()


@pytest.mark.rule("security: do the same with a name that changes (DNS rebinding)")
def test_tls_verifies_the_name_not_the_address(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """The certificate must match the name, and the server gets the name."""
    asked: list[str | None] = []
    tls[0].sni_callback = lambda _socket, name, _context: asked.append(name)
    with serving(saying(answer(b"ok")), context=tls[0]) as server:
        guarded = Network(context=tls[1], resolve=Names([PUBLIC]), sockets=Sockets())
        assert get(guarded, f"https://storage.test:{server.port}/").text == "ok"
        other = Network(context=tls[1], resolve=Names([PUBLIC]), sockets=Sockets())
        with pytest.raises(httpx.ConnectError, match="certificate"):
            get(other, f"https://other.test:{server.port}/")
    assert asked == ["storage.test", "other.test"]


@pytest.mark.rule("security: do the same with a name that resolves to an internal address")
@pytest.mark.parametrize(
    "found",
    [["127.0.0.1"], ["169.254.169.254"], ["::1"], ["::ffff:10.0.0.1"], ["64:ff9b::a00:1"], [PUBLIC, "10.0.0.1"]],
)
def test_a_name_that_resolves_to_an_internal_address_is_rejected(found: list[str]) -> None:
    """One address that is not public is enough: no connection is made at all."""
    sockets = Sockets()
    with pytest.raises(UntrustedUrlError, match="not a public address: it is not opened"):
        get(Network(resolve=Names(found), sockets=sockets), "http://storage.test/")
    assert sockets.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "[::1]", "0"])
def test_every_notation_of_loopback_is_rejected(host: str) -> None:
    """The resolver decides which address a host has, so notations change nothing."""
    with serving(saying(answer(b"inside"))) as server, pytest.raises((UntrustedUrlError, httpx.ConnectError)):
        get(Network(), f"http://{host}:{server.port}/")
    assert server.heads == []


def test_the_next_address_is_tried() -> None:
    """A name with an address that is down is reached by another; with none that is up it is not."""
    second = "93.184.216.35"
    sockets = Sockets(dead=[PUBLIC])
    with serving(saying(answer(b"ok"))) as server:
        url = f"http://storage.test:{server.port}/"
        assert get(Network(resolve=Names([PUBLIC, second]), sockets=sockets), url).text == "ok"
        with pytest.raises(httpx.ConnectError):
            get(Network(resolve=Names([PUBLIC]), sockets=sockets), url)
        with pytest.raises(httpx.ConnectError):
            get(Network(resolve=Names([]), sockets=sockets), url)
    assert sockets.asked == [PUBLIC, second, PUBLIC]


@pytest.mark.parametrize("host", ["no-such-name.invalid", f"{'a' * 64}.test"])
def test_an_unresolvable_name_is_a_connection_error(host: str) -> None:
    """An unresolvable or invalid name raises the error of httpx, guarded or not."""
    with pytest.raises(httpx.ConnectError):
        get(Network(), f"http://{host}/")
    with httpx.Client(transport=Network(), trust_env=False) as client, pytest.raises(httpx.ConnectError):
        client.get(f"http://{host}/")


@pytest.mark.rule("security: do the same with a name that changes (DNS rebinding)")
def test_pools_never_mix() -> None:
    """A connection that was opened without the check is not used for a request that needs it."""
    with serving(saying(answer(b"inside", connection="keep-alive"))) as server:
        guarded = Network()
        with httpx.Client(transport=guarded, trust_env=False) as client:
            assert client.get(server.url).text == "inside"
            with pytest.raises(UntrustedUrlError):
                client.get(server.url, extensions={PUBLIC_ONLY: True})


def drip(connection: socket.socket) -> None:
    """Send an endless head, a byte at a time."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
    for _ in range(2000):
        connection.sendall(b"y")
        time.sleep(0.02)


@pytest.mark.rule("security: hold a function with a byte a minute")
def test_a_slow_response_head_ends_at_the_timeout() -> None:
    """No single read is late, and yet the whole request ends."""
    with serving(drip) as server, network.client() as client:
        began = time.monotonic()
        with within(0.2), pytest.raises(httpx.ReadTimeout):
            client.get(server.url)
        assert time.monotonic() - began < 20
        with within(-1), pytest.raises(httpx.ConnectTimeout):
            client.get(server.url)


@pytest.mark.rule("security: get the API key to storage or another host")
def test_the_environment_and_cookies_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, .netrc or certificate file of the environment is used, and no cookie of one vendor is sent again."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", "nowhere.pem")
    with serving(saying(answer(b"ok", set_cookie="session=abc; Path=/"))) as server, network.client() as client:
        assert [client.get(server.url).text for _ in range(2)] == ["ok", "ok"]
    assert not [head for head in server.heads if b"cookie" in head.lower() or b"authorization" in head.lower()]
