"""Documents that are equal to an earlier one."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lilliput.corpus.deduplication.clusters import equal_groups
from lilliput.corpus.deduplication.verdicts import Copies
from lilliput.corpus.stages import Decisions, texts_of

_HASH_BYTES = 16


@dataclass(frozen=True)
class ExactDuplicates:
    """Drop documents whose text is that of an earlier one; the first stays.

    `ignore_whitespace`: any run of spaces and line breaks counts as one space, none at the ends.
    `ignore_case`: upper and lower case count as equal.

    A document's sketch is a 128-bit BLAKE2b hash, 16 bytes: among 10^12 documents two different
    ones meet with probability 10^-15. `decide` holds 18 bytes a document, 16 for each that
    goes, and 0.5 GB at most for sorting.
    """

    ignore_whitespace: bool = False
    ignore_case: bool = False

    def sketch(self, batch: pa.RecordBatch, /) -> pa.Array:
        """The texts' hashes: fixed-size binary of 16 bytes."""
        digests = b"".join(
            hashlib.blake2b(
                self._compared(text).encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES
            ).digest()
            for text in texts_of(batch)
        )
        return pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(_HASH_BYTES), batch.num_rows, [None, pa.py_buffer(digests)]
        )

    def _compared(self, text: str) -> str:
        if self.ignore_whitespace:
            text = " ".join(text.split())
        return text.casefold() if self.ignore_case else text

    def decide(
        self, sketches: Sequence[pa.Array], texts: Callable[[Iterable[int]], Iterable[str]], /
    ) -> Decisions:
        """Drop all but the first of equal hashes; rule "exact_copy"."""
        halves = [_halves(piece) for piece in sketches]
        none = np.zeros(0, np.uint64)
        high = np.concatenate([none, *(piece[:, 0] for piece in halves)])
        low = np.concatenate([none, *(piece[:, 1] for piece in halves)])
        numbers, originals = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for groups in equal_groups(high, low):
            firsts = groups.firsts()
            later = groups.members != firsts
            numbers.append(groups.members[later])
            originals.append(firsts[later])
        gone, kept = np.concatenate(numbers), np.concatenate(originals)
        order = np.argsort(gone)
        return Decisions(dropped=Copies("exact_copy", gone[order], kept[order]))


def _halves(piece: pa.Array) -> np.ndarray[tuple[int, int], np.dtype[np.uint64]]:
    """The hashes of one piece as two 64-bit numbers each, without a copy."""
    end = piece.offset + len(piece)  # the buffer may be longer
    values = np.frombuffer(piece.buffers()[1], np.uint64, count=2 * end).reshape(-1, 2)
    return values[piece.offset :]
