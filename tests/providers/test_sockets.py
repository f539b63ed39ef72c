"""How connections to vendors are opened and ended, over real TLS."""

import asyncio
import math
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection, serve

from callbot.errors import Trouble
from callbot.providers import sockets
from callbot.providers.failures import from_socket
from callbot.providers.sockets import close, connect, secure

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")


@pytest.fixture(autouse=True)
def certificates() -> Iterator[None]:
    """Read anew for each test."""
    sockets._certificates.cache_clear()
    yield
    sockets._certificates.cache_clear()


class Vendor:
    """Knows what it heard, and how its connections ended."""

    def __init__(self) -> None:
        self.url = ""
        self.open = 0
        self.heard: list[str | bytes] = []
        self.left = asyncio.Event()

    async def serve(self, connection: ServerConnection) -> None:
        self.open += 1
        try:
            async for message in connection:
                self.heard.append(message)
        finally:
            self.open -= 1
            self.left.set()


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    vendor = Vendor()
    async with serve(vendor.serve, "127.0.0.1", 0, ping_interval=None) as server:
        vendor.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        yield vendor


async def opened(url: str) -> ClientConnection:
    return await connect(url, {"X-Key": "k"}, within=2.0, close_within=1.0, largest=None)


def test_one_look_at_the_certificates_serves_all_connections():
    assert secure("wss://api.example.com/a") is secure("wss://api.example.com/b")
    assert secure("ws://127.0.0.1:1/a") is None


@needs_openssl
async def test_a_vendor_is_known_by_its_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    made += ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=DNS:localhost"]
    await asyncio.to_thread(subprocess.run, made, check=True, capture_output=True)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, key)
    vendor = Vendor()
    async with serve(vendor.serve, "127.0.0.1", 0, ssl=served, ping_interval=None) as server:
        url = f"wss://localhost:{next(iter(server.sockets)).getsockname()[1]}"
        with pytest.raises(ssl.SSLCertVerificationError) as stranger:
            await opened(url)
        assert from_socket("x", stranger.value, connected=False).trouble is Trouble.CONNECT
        sockets._certificates.cache_clear()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        connection = await opened(url)
        await connection.send("hello")
        await close(connection, within=1.0)
        await asyncio.wait_for(vendor.left.wait(), 5)
        assert vendor.heard == ["hello"]


async def test_the_goodbye_is_said_before_the_end(vendor: Vendor):
    connection = await opened(vendor.url)
    await close(connection, ["goodbye"], within=1.0)
    await asyncio.wait_for(vendor.left.wait(), 5)
    assert vendor.heard == ["goodbye"]
    assert connection.close_code == 1000


@pytest.mark.parametrize("broken_off", [False, True])
async def test_a_goodbye_that_takes_too_long_or_is_broken_off_leaves_nothing_open(
    vendor: Vendor, broken_off: bool, monkeypatch: pytest.MonkeyPatch
):
    begun = asyncio.Event()

    async def never(connection: ClientConnection) -> None:
        connection.transport.pause_reading()
        begun.set()
        await asyncio.sleep(math.inf)

    connection = await opened(vendor.url)
    monkeypatch.setattr(ClientConnection, "close", never)
    closing = asyncio.create_task(close(connection, within=math.inf if broken_off else 0.05))
    await asyncio.wait_for(begun.wait(), 5)
    if broken_off:
        closing.cancel()
    await asyncio.wait([closing])
    assert closing.cancelled() is broken_off
    await asyncio.wait_for(vendor.left.wait(), 5)
    assert vendor.open == 0
