"""A trained model with its tokenizer: text in, text out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lilliput.errors import UserError
from lilliput.files import read_json
from lilliput.generate.framing import Framing, load_framing
from lilliput.generate.retrieval import attach_neighbours
from lilliput.generate.scoring import DocumentScore, Target, log_probabilities
from lilliput.generate.writing import Writer
from lilliput.machine.device import choose_device
from lilliput.model import Trunk
from lilliput.model.folder import load_model
from lilliput.model.inference import optimised
from lilliput.tokens.tokenizer import Tokenizer


class NextToken(NamedTuple):
    """A candidate for the next token."""

    text: str
    """The token's text; bytes that are no whole character are shown as \\xNN."""
    id: int
    probability: float
    log_probability: float


class LanguageModel(Writer):
    """A decoder and its tokenizer.

    `beginning` holds the ids put before every prompt and document: the end-of-text token for our
    models, whose documents begin with it. `end_tokens` end a text when sampled. `framing` is how a
    prompt is put to a model that was tuned to answer; an empty one is not framed. `folder` holds
    the model, without the changes of `adapter`.
    """

    def __init__(
        self,
        decoder: Trunk,
        tokenizer: Tokenizer,
        folder: Path | None = None,
        *,
        adapter: Path | None = None,
        beginning: Sequence[int] | None = None,
        end_tokens: Sequence[int] | None = None,
        framing: Framing | None = None,
    ) -> None:
        self.decoder, self.tokenizer, self.folder = decoder, tokenizer, folder
        self.adapter = adapter
        self.framing = framing
        self._fast: Trunk | None = None
        end_of_text = (tokenizer.end_of_text,)
        self.beginning = end_of_text if beginning is None else tuple(beginning)
        self.end_tokens = end_of_text if end_tokens is None else tuple(end_tokens)

    @property
    def writing_trunk(self) -> Trunk:
        """What our engine writes with: of a model from a folder, a form made for that alone."""
        if self.folder is None:
            return self.decoder
        if self._fast is None:
            self._fast = optimised(self.decoder)  # type: ignore[assignment]
        assert self._fast is not None
        return self._fast

    @property
    def context_length(self) -> int:
        """The most tokens the model can read, prompt and answer together."""
        return self.decoder.config.context_length

    def logits(self, ids: Tensor) -> Tensor:
        """Logits, float32 [batch, time, vocabulary], for ids, int64 [batch, time]."""
        with torch.no_grad():
            return self.decoder(ids.to(self.decoder.device))  # type: ignore[no-any-return]

    def prompt_ids(self, prompt: str) -> tuple[int, ...]:
        """The ids a prompt becomes: the beginning, then the text's, framed if the model asks it."""
        ids = (*self.beginning, *self.tokenizer.encode(self._framed(prompt)))
        # A model without a beginning token still needs one token to start from.
        return ids or (self.tokenizer.end_of_text,)

    def _framed(self, prompt: str) -> str:
        return self.framing.of(prompt) if self.framing and prompt else prompt

    def score(self, prompt: str, completions: Sequence[str]) -> list[float]:
        """Log-probability in nats of each completion after the prompt, summed over its tokens.

        The tokens are those of prompt + completion encoded as one text; the completion's are all
        after what that shares with the prompt encoded alone. A token that spans the boundary
        therefore counts to the completion. What does not fit in the context is read in windows
        that overlap by half.
        """
        return self.score_pairs([(prompt, completion) for completion in completions])

    def score_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """`score` of many (prompt, completion) pairs; what pairs begin with alike is read once."""
        targets = [self.completion_target(prompt, completion) for prompt, completion in pairs]
        return [float(scores.sum()) for scores in log_probabilities(self.decoder, targets)]

    def log_probability(self, text: str) -> float:
        """Log-probability in nats of a text as a document, of any length.

        Every token of the text counts, the first given the beginning token; the end of the text
        does not. Divide by -ln 2 and by the text's bytes for bits per byte.
        """
        return float(log_probabilities(self.decoder, [self.document_target(text)])[0].sum())

    def score_documents(self, texts: Sequence[str]) -> list[DocumentScore]:
        """Whole texts, of any length, as documents: `log_probability` of each, in batches."""
        encoded = self.tokenizer.encode_batch(texts)
        targets = [self.target_of_ids(ids.tolist()) for ids in encoded]
        return [
            DocumentScore(float(scores.sum()), len(text.encode("utf-8")))
            for text, scores in zip(texts, log_probabilities(self.decoder, targets), strict=True)
        ]

    def token_scores(self, text: str, *, prompt: str = "") -> list[tuple[str, int, float]]:
        """Text, id and log-probability in nats of each token of `text` after `prompt`."""
        target = self.completion_target(prompt, text)
        scores = log_probabilities(self.decoder, [target])[0].tolist()
        ids = target.ids[target.first :]
        return [
            (self.token_text(token), token, score) for token, score in zip(ids, scores, strict=True)
        ]

    def document_target(self, text: str) -> Target:
        """The question `how probable is this whole document?`, for `log_probabilities`."""
        return self.target_of_ids(self.tokenizer.encode(text))

    def target_of_ids(self, ids: Sequence[int]) -> Target:
        """The same question for a document given as ids."""
        before = self.beginning or (self.tokenizer.end_of_text,)
        return Target((*before, *ids), len(before))

    def completion_target(self, prompt: str, completion: str) -> Target:
        """The question `how probable is this completion after this prompt?`: see `score`."""
        prompt = self._framed(prompt)
        before, both = self.document_target(prompt), self.document_target(prompt + completion)
        first = before.first
        while first < min(len(before.ids), len(both.ids)) and before.ids[first] == both.ids[first]:
            first += 1
        return Target(both.ids, first)

    def next_tokens(self, prompt: str, top: int = 10) -> list[NextToken]:
        """The `top` most probable next tokens after the prompt, most probable first."""
        ids = self.prompt_ids(prompt)
        if len(ids) > self.context_length:
            raise UserError(
                f"the prompt is {len(ids)} tokens long and the model's context holds "
                f"{self.context_length}: shorten it"
            )
        with torch.inference_mode():
            device = self.decoder.device
            hidden = self.decoder.hidden(torch.tensor([ids], device=device))
            scores = self.decoder.logits_of(hidden[0, -1]).log_softmax(dim=-1)
        best = scores[: self.tokenizer.vocabulary_size].topk(
            min(top, self.tokenizer.vocabulary_size)
        )
        return [
            NextToken(self.token_text(token), token, float(score.exp()), float(score))
            for token, score in zip(best.indices.tolist(), best.values.double(), strict=True)
        ]

    def token_text(self, token: int) -> str:
        """A token's text; special tokens by name, bytes that are no whole character as \\xNN."""
        for name, special in self.tokenizer.special_tokens.items():
            if special == token:
                return name
        return self.tokenizer.bytes_of[token].decode("utf-8", errors="backslashreplace")


def load(path: Path | str, device: str | torch.device | None = None) -> LanguageModel:
    """Load a model folder, or the `model` folder of a run, ready to write and score.

    `path` may name an adapter too, a PEFT folder of a LoRA: `MODEL+ADAPTER`. `device` is a torch
    device or its name; by default the best one there is. Raises UserError if there is no model at
    `path`, or the adapter is not this model's.
    """
    base, adapter = base_and_adapter(path)
    folder = model_folder(base)
    where = choose_device(device) if isinstance(device, str) else device or choose_device()
    decoder = load_model(folder, adapter=adapter, device=where)
    attach_neighbours(decoder, folder)
    tokenizer = Tokenizer.load(folder)
    if tokenizer.vocabulary_size > decoder.config.vocabulary_size:
        raise UserError(
            f"{folder}: its tokenizer.json has {tokenizer.vocabulary_size} tokens and its model "
            f"only {decoder.config.vocabulary_size}: they do not belong together"
        )
    beginning, end_tokens = _conventions(folder)
    return LanguageModel(
        decoder,
        tokenizer,
        folder,
        adapter=adapter,
        beginning=beginning,
        end_tokens=end_tokens,
        framing=load_framing(folder),
    )


def base_and_adapter(path: Path | str) -> tuple[Path, Path | None]:
    """The model and the adapter that `MODEL+ADAPTER` names; a path alone names no adapter."""
    text = str(path)
    if not Path(text).exists():
        for plus in [place for place, sign in enumerate(text) if sign == "+"]:
            if Path(text[:plus]).exists():
                return Path(text[:plus]), Path(text[plus + 1 :])
    return Path(text), None


def model_folder(path: Path | str) -> Path:
    """The model folder that `path` means: itself, or its `model` where it is a run's folder."""
    path = Path(path)
    for folder in (path, path / "model"):
        if (folder / "config.json").is_file():
            return folder
    if not path.exists():
        raise UserError(f"{path}: no such folder; give a model folder or a run's folder")
    if not path.is_dir():
        raise UserError(f"{path}: a file; give the model folder that holds config.json")
    if (path / "checkpoints").is_dir():
        raise UserError(
            f"{path}: this run has no model yet; finish it with `lilliput resume {path}`"
        )
    raise UserError(f"{path}: not a model folder (it holds no config.json)")


def _conventions(folder: Path) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
    """Beginning and end tokens as the folder's files state them; None where they do not."""
    settings: dict[str, Any] = {}
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            settings.update(read_json(folder / name))
    end = settings.get("eos_token_id")
    end_tokens = (end,) if isinstance(end, int) else tuple(end) if end else None
    if settings.get("add_bos_token") is False:
        return (), end_tokens
    start = settings.get("bos_token_id")
    return (start,) if isinstance(start, int) else None, end_tokens
