"""Language identification, offline: py3langid's model, walked for a whole batch at a time.

The model (py3langid, BSD; after langid.py, Lui & Baldwin 2012) is naive Bayes over byte n-grams
that an automaton finds. The automaton's states follow one another, but those of different texts do
not: all texts of a batch take each step together, as one NumPy operation.
"""

import io
import lzma
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lilliput.corpus.filters.validation import check_not_negative, wrong
from lilliput.corpus.stages import Dropped, Outcome, keeping, texts_of, with_column
from lilliput.errors import UserError

UNDETERMINED = "und"
_MOST_CELLS = 1 << 21


@dataclass(frozen=True)
class Language:
    """Adds `language` (ISO 639 code) and `language_score`, and keeps the languages wanted.

    keep: codes of the languages to keep; none: every document stays.
    least_score: smallest probability of the language, from 0 to 1, where `keep` names any.
    characters: how much of each text's beginning is looked at.

    A text without a sign of any language is "und" (undetermined) with score 0.
    """

    keep: tuple[str, ...] = ()
    least_score: float = 0.65
    characters: int = 2000

    def __post_init__(self) -> None:
        if isinstance(self.keep, str):
            raise wrong(self, "keep", 'must be a list of codes such as ["en", "de"]')
        check_not_negative(self, "least_score", "characters")
        if self.least_score > 1:
            raise wrong(self, "least_score", "is a probability: at most 1")

    def __call__(self, batch: pa.RecordBatch, /) -> Outcome:
        if unknown := set(self.keep) - {*languages(), UNDETERMINED}:
            known = ", ".join(languages())
            raise wrong(self, "keep", f"has {', '.join(sorted(unknown))}; known are {known}")
        found = identify([text[: self.characters] for text in texts_of(batch)])
        batch = with_column(batch, "language", pa.array([one for one, _ in found], pa.string()))
        batch = with_column(
            batch, "language_score", pa.array([score for _, score in found], pa.float32())
        )
        dropped = [
            Dropped(row, broken, f"{language} {score:.2f}")
            for row, (language, score) in enumerate(found)
            if (broken := self._broken(language, score))
        ]
        counts = Counter(f"language {language}" for language, _ in found)
        return keeping(batch, dropped, counts=counts)

    def _broken(self, language: str, score: float) -> str | None:
        if not self.keep:
            return None
        if language not in self.keep:
            return "keep"
        return "least_score" if score < self.least_score else None


@dataclass(frozen=True)
class _Model:
    """The automaton and the weights.

    next_state: state after a row and a byte, uint32[rows * 256]
    row: the row of each state times 256, int32[states]
    feature: the feature that each state completes, or -1, int32[states]
    weights: log probability of each feature in each language, float32[features, languages]
    priors: log probability of each language, float32[languages]
    """

    next_state: npt.NDArray[np.uint32]
    row: npt.NDArray[np.int32]
    feature: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    priors: npt.NDArray[np.float32]
    languages: tuple[str, ...]


def languages() -> list[str]:
    """The codes of the languages known, sorted."""
    return sorted(set(_model().languages))


def identify(texts: Sequence[str]) -> list[tuple[str, float]]:
    """The most probable language of each text, with its probability (rounded to four digits)."""
    model = _model()
    encoded = [_encode(text) for text in texts]
    found = []
    for features, text in zip(_features(encoded, model), encoded, strict=True):
        if not len(features):
            found.append((UNDETERMINED, 0.0))
            continue
        seen, counts = np.unique(features, return_counts=True)
        scores = np.log1p(counts.astype(np.float32)) @ model.weights[seen] + model.priors
        # By the root of the length, so that long texts are not all certain (as py3langid does).
        odds = np.exp((scores - scores.max()) / np.float32(len(text) ** 0.5))
        found.append(_best(odds / odds.sum(), model.languages))
    return found


def _best(shares: npt.NDArray[np.float32], names: Sequence[str]) -> tuple[str, float]:
    """A language may stand in several columns, one per script."""
    sums: dict[str, float] = {}
    for name, share in zip(names, shares.tolist(), strict=True):
        sums[name] = sums.get(name, 0.0) + share
    best = max(sums, key=sums.__getitem__)
    return best, round(min(sums[best], 1.0), 4)


def _encode(text: str) -> bytes:
    if text.isupper():
        text = text.lower()
    return unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")


def _features(texts: Sequence[bytes], model: _Model) -> list[npt.NDArray[np.int32]]:
    """The features of each text, as often as they occur, int32[occurrences] each."""
    found = [np.zeros(0, np.int32)] * len(texts)
    longest_first = sorted(range(len(texts)), key=lambda number: -len(texts[number]))
    begin = 0
    while begin < len(texts):
        # Texts of about the same length walk together, so that the tables stay small.
        width = max(1, _MOST_CELLS // max(1, len(texts[longest_first[begin]])))
        group = longest_first[begin : begin + width]
        begin += width
        for number, features in zip(
            group, _walk([texts[number] for number in group], model), strict=True
        ):
            found[number] = features
    return found


def _walk(texts: Sequence[bytes], model: _Model) -> Iterator[npt.NDArray[np.int32]]:
    """The features of each text; the longest texts come first."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    letters = np.zeros((int(lengths[0]), len(texts)), np.uint8)
    for column, text in enumerate(texts):
        letters[: len(text), column] = np.frombuffer(text, np.uint8)
    # At step i the first active[i] columns have a byte left.
    active = np.searchsorted(-lengths, -np.arange(len(letters)), side="left")
    features = np.empty(letters.shape, np.int32)
    state = np.zeros(len(texts), np.uint32)
    for step, width in enumerate(active.tolist()):
        state = model.next_state[model.row[state[:width]] + letters[step, :width]]
        features[step, :width] = model.feature[state]
    for column, length in enumerate(lengths.tolist()):
        of_text = features[:length, column]
        yield of_text[of_text >= 0]


@cache
def _model() -> _Model:
    spec = find_spec("py3langid")
    if spec is None or spec.origin is None:
        raise UserError("language identification needs py3langid: pip install py3langid")
    path = Path(spec.origin).parent / "data" / "model.npz.xz"
    try:
        with np.load(io.BytesIO(lzma.decompress(path.read_bytes())), allow_pickle=False) as arrays:
            return _Model(
                arrays["nextmove"].astype(np.uint32),
                arrays["nextmove_row"].astype(np.int32) << 8,
                arrays["out_feat"].astype(np.int32),
                arrays["ptc"].astype(np.float32),
                arrays["pc"].astype(np.float32),
                tuple(arrays["classes"].tolist()),
            )
    except (OSError, KeyError, ValueError, lzma.LZMAError) as error:
        raise UserError(
            f"cannot read the language model {path} ({error}): pip install 'py3langid>=0.4'"
        ) from error
