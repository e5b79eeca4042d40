"""The stage that asks a Lilliput model how well it foretells each document.

CCNet (arXiv 1911.00359) sorts a crawl by perplexity under a model of good text. Here the model is
any that Lilliput reads, and the measure bits per byte, which compares models of any tokenizer.
"""

import math
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from lilliput.corpus.stages import Dropped, Outcome, keeping, texts_of, with_column
from lilliput.errors import UserError
from lilliput.generate.language_model import LanguageModel, load
from lilliput.generate.scoring import log_probabilities

_MOST_NATS = 700.0  # e to more than this is no number


@dataclass(frozen=True)
class Perplexity:
    """Score documents by a model: adds float64 `bits_per_byte` and `token_perplexity`.

    `model` is a model folder or a run's folder. Documents below `lowest` or above `highest` bits
    per byte are dropped: very low is boilerplate, very high noise or another language. A document
    without text scores null and stays. Only the first `most_characters` are read where it is set.
    """

    model: str
    lowest: float | None = None
    highest: float | None = None
    most_characters: int | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        if self.lowest is not None and self.highest is not None and self.lowest > self.highest:
            raise UserError(f"perplexity: lowest = {self.lowest} is above highest = {self.highest}")
        if self.most_characters is not None and self.most_characters < 1:
            raise UserError(f"perplexity: most_characters = {self.most_characters}: at least 1")

    def __call__(self, batch: pa.RecordBatch) -> Outcome:
        texts = [text[: self.most_characters] for text in texts_of(batch)]
        scores = score_texts(_model(self.model, self.device), texts)
        bits = [one[0] for one in scores]
        scored = with_column(batch, "bits_per_byte", pa.array(bits, pa.float64()))
        perplexities = pa.array([one[1] for one in scores], pa.float64())
        scored = with_column(scored, "token_perplexity", perplexities)
        dropped = []
        for row, value in enumerate(bits):
            detail = f"{value:.3f} bits per byte" if value is not None else ""
            if value is not None and self.lowest is not None and value < self.lowest:
                dropped.append(Dropped(row, "lowest_bits_per_byte", detail))
            elif value is not None and self.highest is not None and value > self.highest:
                dropped.append(Dropped(row, "highest_bits_per_byte", detail))
        return keeping(scored, dropped)


def score_texts(
    model: LanguageModel, texts: list[str]
) -> list[tuple[float, float] | tuple[None, None]]:
    """Bits per byte and perplexity per token of each text; None twice for an empty one."""
    encoded = model.tokenizer.encode_batch(texts)
    targets = [model.target_of_ids(ids.tolist()) for ids in encoded]
    scores: list[tuple[float, float] | tuple[None, None]] = []
    for text, own in zip(texts, log_probabilities(model.decoder, targets), strict=True):
        if not text or not len(own):
            scores.append((None, None))
            continue
        nats = -float(own.sum())
        bits = nats / math.log(2) / len(text.encode("utf-8"))
        scores.append((bits, math.exp(min(nats / len(own), _MOST_NATS))))
    return scores


@cache
def _model(folder: str, device: str | None) -> LanguageModel:
    return load(folder, device)
