import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from callbot.providers.embedding import E5Embedder

pytestmark = pytest.mark.models

PASSAGES = [
    "We are open Monday to Friday from eight to eight.",
    "You can return a product within thirty days.",
    "A red light means that the router has no connection.",
]


@pytest.fixture(scope="module")
def embedder() -> E5Embedder:
    return E5Embedder.load()


@pytest.mark.parametrize(
    ("question", "answer"),
    [("When do you close?", 0), ("Can I send it back?", 1), ("¿Por qué está roja la luz?", 2)],
)
def test_the_passage_that_answers_ranks_first(question: str, answer: int, embedder: E5Embedder):
    vectors = embedder.embed(PASSAGES, query=False)
    assert int((vectors @ embedder.embed([question], query=True)[0]).argmax()) == answer


def test_vectors_are_of_unit_length(embedder: E5Embedder):
    vectors = embedder.embed([*PASSAGES, "", "日本"], query=True)
    assert vectors.shape == (5, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert embedder.embed([], query=True).shape == (0, 384)


def test_threads_share_it(embedder: E5Embedder):
    texts = [f"{passage} {number}" for passage in PASSAGES for number in range(4)]
    alone = embedder.embed(texts, query=True)
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda text: embedder.embed([text], query=True)[0], texts))
    np.testing.assert_array_equal(np.array(together), alone)


@pytest.mark.parametrize("before", [None, "7"])
def test_loading_leaves_the_environment_as_it_was(before: str | None, monkeypatch: pytest.MonkeyPatch):
    if before is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", before)
    E5Embedder.load()
    assert os.environ.get("OMP_NUM_THREADS") == before
