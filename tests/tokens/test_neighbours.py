"""The neighbour index against brute force in NumPy, on disk, and what it must never give away."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.tokens import TokenSplit
from lilliput.tokens.chunk_keys import token_weights
from lilliput.tokens.neighbours import (
    LeakageControl,
    NeighbourIndex,
    build_neighbours,
    open_neighbours,
)
from lilliput.tokens.ngrams import MISSING

END = 0
Documents = list[list[int]]
some_documents = st.lists(
    st.lists(st.integers(1, 9), min_size=0, max_size=25), min_size=1, max_size=12
)


def split_of(documents: Documents, dtype: type = np.uint16, shards: int = 1) -> TokenSplit:
    stream = np.array([t for ids in documents for t in (END, *ids)] + [END], dtype=dtype)
    return TokenSplit("train", np.array_split(stream, shards), END, 0)


def chunks_by_hand(documents: Documents, length: int) -> list[tuple[list[int], list[int], int]]:
    """Every chunk, its value and its document, as the module describes them."""
    found = []
    for number, ids in enumerate(documents):
        text = [END, *ids]
        for start in range(0, len(text), length):
            chunk = text[start : start + length]
            if start == 0 or 2 * len(chunk) >= length:
                found.append((chunk, text[start : start + 2 * length], number))
    return found


def keys_by_hand(chunks: list[list[int]], all_chunks: list[list[int]]) -> npt.NDArray[np.float64]:
    """tf-idf vectors [N, V] of length 255, rounded."""
    counts = np.zeros(20, dtype=np.int64)
    for chunk in all_chunks:
        counts[list(set(chunk))] += 1
    weights = token_weights(counts, len(all_chunks))
    rows = np.zeros((len(chunks), 20))
    for row, chunk in zip(rows, chunks, strict=True):
        for token in set(chunk):
            row[token] = weights[token]
    norms = np.maximum(np.sqrt((rows**2).sum(axis=1, keepdims=True)), 1)
    return np.rint(rows * (255 / norms))


def padded(rows: list[list[int]], width: int) -> npt.NDArray[np.int64]:
    return np.array([[*row, *[MISSING] * (width - len(row))] for row in rows], dtype=np.int64)


@settings(max_examples=40, deadline=None)
@given(
    documents=some_documents,
    queries=st.lists(
        st.lists(st.integers(0, 15), min_size=1, max_size=9), min_size=1, max_size=5
    ),
    length=st.integers(1, 6),
    count=st.integers(1, 9),
    banned=st.integers(-1, 11),
    shards=st.integers(1, 3),
)  # fmt: skip
def test_nearest_is_brute_force(
    tmp_path_factory: pytest.TempPathFactory,
    documents: Documents,
    queries: list[list[int]],
    length: int,
    count: int,
    banned: int,
    shards: int,
) -> None:
    index = build_neighbours(
        split_of(documents, shards=shards), tmp_path_factory.mktemp("index"), chunk_length=length
    )
    by_hand = chunks_by_hand(documents, length)
    chunks, values, owners = zip(*by_hand, strict=True)
    keys = keys_by_hand(list(chunks), list(chunks))
    scores = keys_by_hand(queries, list(chunks)) @ keys.T
    excluded = np.array([[MISSING, banned]] * len(queries))
    found = index.nearest(padded(queries, 9), count, excluded=excluded)
    allowed = np.array(owners) != banned
    assert len(index) == len(by_hand)
    for row, (numbers, similarities) in enumerate(zip(*found, strict=True)):
        order = [n for n in np.argsort(-scores[row], kind="stable") if allowed[n]][:count]
        assert numbers.tolist() == [*order, *[MISSING] * (count - len(order))]
        assert np.allclose(similarities[: len(order)], scores[row][order] / 255**2)
        expected = [*(values[n] for n in order), *[[]] * (count - len(order))]
        assert (index.values(numbers) == padded(expected, 2 * length)).all()
        assert index.documents(numbers)[: len(order)].tolist() == [owners[n] for n in order]


def test_many_chunks_are_searched_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(1)
    documents = [generator.integers(1, 200, 40).tolist() for _ in range(300)]
    index = build_neighbours(split_of(documents), tmp_path, chunk_length=8)
    queries = index.values(np.arange(0, len(index), 9))[:, :8]
    whole = index.nearest(queries, 7)
    monkeypatch.setattr("lilliput.tokens.neighbours._SCORES_AT_ONCE", 64 * 100)
    assert all(np.array_equal(*pair) for pair in zip(whole, index.nearest(queries, 7), strict=True))
    assert (whole.numbers[:, 0] == np.arange(0, len(index), 9)).all()
    assert np.allclose(whole.similarities[:, 0], 1, atol=0.02)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_rebuilt_with_the_same_bytes(tmp_path: Path, dtype: type) -> None:
    generator = np.random.default_rng(2)
    documents = [generator.integers(1, 70_000 if dtype == np.uint32 else 500, size).tolist()
                 for size in generator.integers(0, 90, 60)]  # fmt: skip
    split = split_of(documents, dtype)
    for name in ("a", "b"):
        build_neighbours(split, tmp_path / name, chunk_length=16)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["ids.npy", "neighbours.json", "places.npy", "tokens.npy", "weights.npy"]
    for name in names:
        first, second = (tmp_path / folder / name for folder in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()
    again = build_neighbours(split, tmp_path / "a", chunk_length=16)
    assert again.keys.ids.dtype == dtype
    assert (tmp_path / "a" / "ids.npy").read_bytes() == (tmp_path / "b" / "ids.npy").read_bytes()


@pytest.fixture
def built(tmp_path: Path) -> tuple[TokenSplit, Path]:
    split = split_of([[1, 2, 3, 4, 5, 6, 7], [3, 4, 5], [8, 9] * 6])
    build_neighbours(split, tmp_path, chunk_length=4)
    return split, tmp_path


@pytest.mark.parametrize("name", ["ids", "weights", "places", "tokens"])
def test_a_truncated_file_is_refused(built: tuple[TokenSplit, Path], name: str) -> None:
    split, folder = built
    path = folder / f"{name}.npy"
    data = path.read_bytes()
    for left in (0, 5, 100, len(data) - 1):
        path.write_bytes(data[:left])
        with pytest.raises(UserError, match=rf"{name}\.npy: not a whole array"):
            open_neighbours(split, folder)
    path.unlink()
    with pytest.raises(UserError, match=rf"{name}\.npy: not a whole array"):
        open_neighbours(split, folder)


def test_refusals(built: tuple[TokenSplit, Path]) -> None:
    split, folder = built
    with pytest.raises(UserError, match="the index of other tokens"):
        open_neighbours(split_of([[1, 2, 3, 4, 5, 6, 7], [3, 4, 6], [8, 9] * 6]), folder)
    np.save(folder / "places.npy", np.zeros((2, 3), dtype=np.int64))
    with pytest.raises(UserError, match=r"places\.npy: int64 \(2, 3\) where"):
        open_neighbours(split, folder)
    manifest = folder / "neighbours.json"
    for text, message in (
        ("{}", "not as an index's manifest is"),
        (manifest.read_text().replace('"version": 1', '"version": 7'), "version 7 is unknown"),
        (manifest.read_text()[:20], "not valid JSON"),
    ):
        manifest.write_text(text)
        with pytest.raises(UserError, match=message):
            open_neighbours(split, folder)
        build_neighbours(split, folder, chunk_length=4)
    manifest.unlink()
    with pytest.raises(UserError, match="not a whole neighbour index"):
        open_neighbours(split, folder)
    with pytest.raises(UserError, match="at least one"):
        build_neighbours(split, folder, chunk_length=0)
    with pytest.raises(UserError, match="leakage control"):
        LeakageControl(ngram=0)


def test_a_build_that_failed_leaves_no_index(
    built: tuple[TokenSplit, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    split, folder = built

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("lilliput.tokens.neighbours.keys_of", fail)
    with pytest.raises(OSError, match="disk full"):
        build_neighbours(split, folder, chunk_length=4)
    assert not list(folder.glob("*.tmp")) + list(folder.glob(".*.tmp"))
    with pytest.raises(UserError, match="not a whole neighbour index"):
        open_neighbours(split, folder)


def shares_by_hand(value: list[int], predicted: list[int], ngram: int) -> float:
    grams = [tuple(predicted[i : i + ngram]) for i in range(len(predicted) - ngram + 1)]
    theirs = {tuple(value[i : i + ngram]) for i in range(len(value) - ngram + 1)}
    return sum(gram in theirs for gram in grams) / len(grams) if grams else 0.0


@settings(max_examples=40, deadline=None)
@given(
    documents=some_documents,
    owner=st.integers(0, 11),
    ngram=st.integers(1, 3),
    most=st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    predicted=st.lists(st.integers(1, 9), min_size=0, max_size=4),
)  # fmt: skip
def test_leakage_control(
    tmp_path_factory: pytest.TempPathFactory,
    documents: Documents,
    owner: int,
    ngram: int,
    most: float,
    predicted: list[int],
) -> None:
    """Of what is not dropped nothing is missing, and its order stays."""
    index = build_neighbours(split_of(documents), tmp_path_factory.mktemp("i"), chunk_length=4)
    owner %= len(documents)
    query = padded([[END, *documents[owner]][:4]], 4)
    control = LeakageControl(ngram=ngram, most=most)
    found = index.nearest(
        query, 6, excluded=np.array([[owner]]), predicted=padded([predicted], 4), control=control
    ).numbers[0]
    assert owner not in index.documents(found)
    every = index.nearest(query, len(index)).numbers[0]
    _, values, owners = zip(*chunks_by_hand(documents, 4), strict=True)
    allowed = [
        number
        for number in every
        if owners[number] != owner and shares_by_hand(values[number], predicted, ngram) <= most
    ]
    assert [number for number in found if number != MISSING] == allowed[:6]


def test_the_search_goes_on_where_many_are_dropped(tmp_path: Path) -> None:
    """30 copies of what is to be predicted, nearer than the one neighbour that may be given."""
    copy = [1, 2, 3, 11, 12, 13, 14]
    index: NeighbourIndex = build_neighbours(
        split_of([copy] * 30 + [[1, 2, 5, 6, 6, 6, 6]]), tmp_path, chunk_length=4
    )
    found = index.nearest(
        np.array([[END, 1, 2, 3]]),
        1,
        predicted=np.array([copy[3:]]),
        control=LeakageControl(ngram=3),
    )
    assert index.documents(found.numbers).tolist() == [[30]]
