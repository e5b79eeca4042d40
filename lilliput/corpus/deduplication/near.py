"""Documents that are nearly equal to an earlier one, by MinHash."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import pyarrow as pa

from lilliput.corpus.deduplication.clusters import Clusters, equal_groups
from lilliput.corpus.deduplication.minhash import PRESETS, MinHash, band_hashes
from lilliput.corpus.deduplication.verdicts import Copies
from lilliput.corpus.deduplication.verification import join_similar
from lilliput.corpus.deduplication.words import Hashes, Numbers
from lilliput.corpus.stages import Decisions, texts_of
from lilliput.errors import UserError

_SIZE_BOUNDS = (2, 3, 6, 21, 101)
"""From how many documents on a cluster counts with the next larger ones."""


@dataclass(frozen=True)
class NearDuplicates:
    """Find clusters of near-copies; keep one document of each.

    `preset` names n-grams and bands: "fineweb" (arXiv 2406.17557), "refinedweb" (arXiv 2306.01116),
    "text-dedup", "nemo"; `unit` ("words" or "characters"), `ngram`, `bands` and `rows` change them.
    `keep`: the "first" document of a cluster in corpus order, or the "longest" (the first of
    those). `drop`: whether the others go; the column `cluster` marks them in either case, so that
    training and validation can be split by cluster. `verify`: candidates count as near-copies only
    where the Jaccard similarity of their sets of n-grams is at least this; 0 takes candidates as
    they are, as FineWeb does. `seed` draws the permutations.

    Adds the column `cluster` (int64): the number, in the corpus as it came in, of the first
    document of the cluster; a document's own number where it has no near-copies. Documents without
    words are never near-copies; one shorter than `ngram` counts as a single n-gram.

    A sketch is 8 bytes a band (FineWeb: 112), 8 more with "longest". `decide` goes band by band:
    14 bytes a document, 36 at its end (60 with
    "longest"), and 0.5 GB at most for sorting.
    """

    preset: str = "fineweb"
    unit: str | None = None
    ngram: int | None = None
    bands: int | None = None
    rows: int | None = None
    keep: str = "first"
    drop: bool = True
    verify: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise UserError(f"preset: {self.preset!r} is none of {', '.join(PRESETS)}")
        if self.unit not in (None, "words", "characters"):
            raise UserError(f"unit: {self.unit!r} is neither words nor characters")
        if self.keep not in ("first", "longest"):
            raise UserError(f"keep: {self.keep!r} is neither first nor longest")
        if not 0 <= self.verify <= 1:
            raise UserError(f"verify: {self.verify} is no similarity (0 to 1)")
        for name in ("ngram", "bands", "rows"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name}: {value} is less than 1")

    @cached_property
    def settings(self) -> MinHash:
        """The preset with what was changed."""
        base = PRESETS[self.preset]
        return MinHash(
            self.unit or base.unit,
            self.ngram or base.ngram,
            self.bands or base.bands,
            self.rows or base.rows,
        )

    def sketch(self, batch: pa.RecordBatch, /) -> pa.Array:
        """The hashes of a document's bands (and its characters): fixed-size list of uint64."""
        texts = texts_of(batch)
        values = band_hashes(texts, self.settings, self.seed)
        if self.keep == "longest":
            lengths = np.fromiter(map(len, texts), np.uint64, len(texts))
            values = np.column_stack((values, lengths))
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), self._width)

    @property
    def _width(self) -> int:
        return self.settings.bands + (self.keep == "longest")

    def decide(
        self, sketches: Sequence[pa.Array], texts: Callable[[Iterable[int]], Iterable[str]], /
    ) -> Decisions:
        """Join what agrees in a band; drop all but one of each cluster, rule "near_copy"."""
        clusters = Clusters(sum(len(piece) for piece in sketches))
        refused: set[tuple[int, int]] = set()
        for band in range(self.settings.bands):
            for groups in equal_groups(self._column(sketches, band), absent=0):
                if self.verify:
                    join_similar(clusters, groups, texts, self.settings, self.verify, refused)
                else:
                    clusters.join(groups.firsts(), groups.members)
        roots = clusters.all()
        del clusters
        kept = self._kept(sketches, roots)
        gone = np.flatnonzero(kept != np.arange(len(kept)))
        counts = {"near-copies": len(gone), **_cluster_sizes(roots)}
        if self.verify:
            counts["candidates refused"] = len(refused)
        return Decisions(
            dropped=Copies("near_copy", gone, kept[gone]) if self.drop else {},
            columns={"cluster": pa.array(roots)},
            counts=counts,
        )

    def _column(self, sketches: Sequence[pa.Array], column: int) -> Hashes:
        def parts() -> Iterator[Hashes]:
            for piece in sketches:
                values = piece.values.to_numpy().reshape(-1, self._width)
                yield values[piece.offset : piece.offset + len(piece), column]

        return np.concatenate([np.zeros(0, np.uint64), *parts()])

    def _kept(self, sketches: Sequence[pa.Array], roots: Numbers) -> Numbers:
        """For every document the one of its cluster that stays."""
        if self.keep == "first":
            return roots
        lengths = self._column(sketches, self.settings.bands).astype(np.int64)
        order = np.lexsort((-lengths, roots))
        ordered = roots[order]
        first = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
        kept = roots.copy()
        kept[ordered[first]] = order[first]
        return kept[roots]


def _cluster_sizes(roots: Numbers) -> dict[str, int]:
    """How many clusters of near-copies there are of each size."""
    sizes = np.unique(roots, return_counts=True)[1]
    counts = {"clusters of near-copies": int((sizes > 1).sum())}
    for least, most in pairwise(_SIZE_BOUNDS):
        name = f"clusters of {least}" + (f" to {most - 1}" if most > least + 1 else "")
        counts[name] = int(((sizes >= least) & (sizes < most)).sum())
    counts[f"clusters of {_SIZE_BOUNDS[-1]} or more"] = int((sizes >= _SIZE_BOUNDS[-1]).sum())
    return {name: count for name, count in counts.items() if count}
