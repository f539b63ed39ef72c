"""A line of some length: what comes of it, and that it is late. Bounds are from below, for busy machines."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench.distance import TRIPS_TO_OPEN, Distance

ROUND_TRIP = 0.05


@asynccontextmanager
async def echo() -> AsyncIterator[str]:
    """A server that gives back what it gets, and ends when it does."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1_000):
            writer.write(data)
        await gone(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def gone(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def connected(line: Distance) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", int(line.url.rpartition(":")[2].partition("/")[0]))


async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, what: bytes) -> float:
    """Seconds until it has come back."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    writer.write(what)
    assert await reader.readexactly(len(what)) == what
    return loop.time() - began


async def test_a_connection_takes_its_time_to_open_and_then_each_answer_a_round_trip() -> None:
    async with echo() as url, Distance(url, round_trip=ROUND_TRIP) as line:
        assert line.url.endswith("/v1")
        reader, writer = await connected(line)
        first, second = [await asked(reader, writer, b"hello") for _ in range(2)]
        assert first >= (TRIPS_TO_OPEN + 1) * ROUND_TRIP - 0.005
        assert second >= ROUND_TRIP - 0.005
        assert second < first
        await gone(writer)


async def test_who_is_behind_is_so_from_the_second_word_on() -> None:
    async with echo() as url, Distance(url, round_trip=0.0, behind=0.1) as line:
        reader, writer = await connected(line)
        first, second = [await asked(reader, writer, b"hello") for _ in range(2)]
        assert second >= 0.095
        assert first < second
        await gone(writer)


async def test_everything_arrives_in_order_and_the_end_of_it_as_well() -> None:
    async with echo() as url, Distance(url, round_trip=0.01) as line:
        reader, writer = await connected(line)
        sent = b"".join(number.to_bytes(2, "big") for number in range(20_000))
        for at in range(0, len(sent), 700):
            writer.write(sent[at : at + 700])
        writer.write_eof()
        assert await reader.read() == sent
        await gone(writer)


@pytest.mark.parametrize("who", ["server", "line"])
async def test_who_is_not_there_is_a_connection_that_ends(who: str) -> None:
    async with echo() as url:
        line = Distance("http://127.0.0.1:1/v1" if who == "server" else url, round_trip=0.0)
        async with line:
            reader, writer = await connected(line)
            if who == "server":
                assert await reader.read() == b""
            else:
                await asked(reader, writer, b"hello")
        assert await reader.read() == b""
        await gone(writer)
