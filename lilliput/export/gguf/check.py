"""The proof of an export: the file, read back, against the folder it was made from."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lilliput.errors import UserError
from lilliput.evaluate import bits_per_byte
from lilliput.export.gguf.llama_cpp import LlamaCppParity, llama_cpp_parity
from lilliput.export.gguf.read import read_gguf
from lilliput.generate.language_model import LanguageModel, load
from lilliput.tokens.encoders import DIFFICULT_TEXTS
from lilliput.tokens.tokenizer import Tokenizer

Logits = Callable[[Tensor], Tensor]
_ROWS, _LENGTH = 4, 48
_PROMPT, _STEPS = 16, 24


@dataclass(frozen=True)
class LogitsParity:
    """Logits of two models on the same tokens.

    `max_difference` is in logits, `kl` the mean Kullback-Leibler divergence of the second's next
    token from the first's, in nats; `same_choice` the share of places with the same best token.
    """

    tokens: int
    max_difference: float
    kl: float
    same_choice: float


@dataclass(frozen=True)
class GgufCheck:
    """What an export was compared with.

    `error_share`: the largest rounding of a weight, as a share of what its type allows. `logits`:
    the file dequantised against the folder, both in the library `computed_by` (None where neither
    Lilliput nor transformers could run the folder). `bits_per_byte` of the folder and of the file,
    where texts were given. `llama_cpp`: the file in llama.cpp against the file dequantised (None
    where xllamacpp is not installed).
    """

    error_share: float
    computed_by: str | None
    logits: LogitsParity | None
    bits_per_byte: tuple[float, float] | None
    llama_cpp: LlamaCppParity | None


def check_file(
    file: Path,
    folder: Path,
    *,
    error_share: float,
    beginning: Sequence[int],
    context_length: int,
    texts: Sequence[str],
) -> GgufCheck:
    """Run both models on a text that the original writes. The file is dequantised in a temporary
    folder, which needs 4 bytes a parameter of disk.

    `beginning` are the ids a prompt begins with; `texts` are for bits per byte.
    """
    with tempfile.TemporaryDirectory() as place:
        again = Path(place) / "model"
        read_gguf(file, again)
        ours, ours_again = _lilliput(folder), _lilliput(again)
        computed = _computed(folder, again, ours, ours_again)
        if computed is None:
            return GgufCheck(error_share, None, None, None, None)
        name, original, restored = computed
        tokenizer = Tokenizer.load(folder)
        first = beginning[0] if beginning else tokenizer.end_of_text
        ids = written_ids(original, first, min(_LENGTH, context_length))
        prompt = ids[0, : max(1, min(_PROMPT, context_length // 2))].tolist()
        return GgufCheck(
            error_share,
            name,
            compare_logits(original(ids), restored(ids)),
            _bits_per_byte(ours, ours_again, texts),
            llama_cpp_parity(
                file,
                restored,
                prompt,
                max(0, min(_STEPS, context_length - len(prompt))),
                {text: [*beginning, *tokenizer.encode(text)] for text in DIFFICULT_TEXTS},
            ),
        )


def _computed(
    folder: Path, again: Path, ours: LanguageModel | None, ours_again: LanguageModel | None
) -> tuple[str, Logits, Logits] | None:
    """The library that runs both folders, and their logits in it."""
    if ours is not None and ours_again is not None:
        return "lilliput", ours.logits, ours_again.logits
    original, restored = _hf_logits(folder), _hf_logits(again)
    if original is None or restored is None:
        return None
    return "transformers", original, restored


def _bits_per_byte(
    original: LanguageModel | None, restored: LanguageModel | None, texts: Sequence[str]
) -> tuple[float, float] | None:
    if original is None or restored is None or not texts:
        return None
    return (
        bits_per_byte(original, texts).bits_per_byte,
        bits_per_byte(restored, texts).bits_per_byte,
    )


def written_ids(logits: Logits, first_token: int, length: int) -> Tensor:
    """Texts that a model writes by itself at temperature 1, ids [rows, length], always the same."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.full((_ROWS, 1), first_token)
    while ids.shape[1] < length:
        probabilities = logits(ids)[:, -1].float().softmax(dim=-1)
        ids = torch.cat((ids, torch.multinomial(probabilities, 1, generator=generator)), dim=1)
    return ids


def compare_logits(first: Tensor, second: Tensor) -> LogitsParity:
    """Compare logits [..., vocabulary] of two models."""
    one, two = first.double().log_softmax(dim=-1), second.double().log_softmax(dim=-1)
    divergence = (one.exp() * (one - two)).sum(dim=-1)
    return LogitsParity(
        tokens=divergence.numel(),
        max_difference=float((first - second).abs().max()),
        kl=float(divergence.mean().clamp_min(0.0)),
        same_choice=float((first.argmax(-1) == second.argmax(-1)).double().mean()),
    )


def _lilliput(folder: Path) -> LanguageModel | None:
    try:
        return load(folder, "cpu")
    except UserError:
        return None


def _hf_logits(folder: Path) -> Logits | None:
    try:
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging
    except ImportError:
        return None
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
    ).eval()
    if shown:
        logging.enable_progress_bar()

    def logits(ids: Tensor) -> Tensor:
        with torch.no_grad():
            return model(ids).logits  # type: ignore[no-any-return]

    return logits
