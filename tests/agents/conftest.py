"""The demo business with the real embedder, built once for all tests of the flows."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from callbot.agents.matching import Understanding
from callbot.agents.vectors import KeptVectors
from callbot.business import Brains, Business
from callbot.demo import FOLDER, larkfield
from callbot.demo.shop import Shop
from callbot.providers.embedding import E5Embedder
from callbot.providers.ports import Embedder


@pytest.fixture(scope="session")
def business() -> Business:
    return larkfield()


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    return E5Embedder.load()


@pytest.fixture(scope="session")
def kept(embedder: Embedder, request: pytest.FixtureRequest) -> Iterator[Embedder]:
    """The examples' vectors, from one run of the tests to the next."""
    vectors = KeptVectors(embedder, Path(request.config.cache.mkdir("flows")) / "vectors.npz", model="e5")
    yield vectors
    vectors.save()


@pytest.fixture(scope="session")
def understandings(business: Business, embedder: Embedder, kept: Embedder) -> Mapping[str, Understanding]:
    return business.understand(embedder, kept=kept).understandings


@pytest.fixture
def shop() -> Shop:
    return Shop.read(FOLDER / "records")


@pytest.fixture
def brains(business: Business, understandings: Mapping[str, Understanding], shop: Shop) -> Brains:
    """Brains whose shop is as it was in the morning."""
    return Brains(replace(business, tools=shop.tools()), understandings)
