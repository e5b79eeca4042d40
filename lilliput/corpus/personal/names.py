"""Names and postal addresses: by a local model, or by the user's own lists of names.

Nothing is fetched: a model is a folder on this machine.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from lilliput.corpus.personal.finding import Finding
from lilliput.errors import UserError

_TITLES = r"(?:Mr|Mrs|Ms|Miss|Dr|Prof|Sir|Herr|Frau|Mme|M|Mlle|Sr|Sra|Sig|Dhr|Mevr|Pan|Pani)\.?"
_PARTICLES = r"(?:van|von|de|der|den|del|della|di|da|dos|du|la|le|zu|af|ter|bin|al|el)"
_CAPITALISED = r"[^\W\d_a-z][^\W\d_]*(?:['’\-][^\W\d_]+)*"
_NAME = re.compile(
    rf"(?<!\w)(?:{_TITLES} )?{_CAPITALISED}"
    rf"(?: (?:[^\W\d_a-z]\.|{_PARTICLES}|{_CAPITALISED})){{0,4}}(?!\w)"
)
_TITLE = re.compile(rf"{_TITLES}\Z")

# What token classifiers call people and addresses (CoNLL, OntoNotes, PII models).
_KIND_OF_LABEL: Mapping[str, str] = {
    "PER": "name", "PERSON": "name", "NAME": "name", "FIRSTNAME": "name", "LASTNAME": "name",
    "GIVENNAME": "name", "SURNAME": "name", "MIDDLENAME": "name",
    "ADDRESS": "address", "STREET": "address", "STREETADDRESS": "address",
    "BUILDINGNUM": "address", "BUILDINGNUMBER": "address", "ZIPCODE": "address",
    "SECONDARYADDRESS": "address",
}  # fmt: skip


class Recogniser(Protocol):
    """Anything that finds names and addresses in texts: one sequence of findings a text."""

    def __call__(self, texts: Sequence[str], /) -> Sequence[Sequence[Finding]]: ...


@dataclass(frozen=True)
class NameLists:
    """Finds names by lists: full names as they stand, and a given name before a family name.

    A given name alone is found only after a title ("Dr Ada"): too many are words as well.
    """

    given: frozenset[str]
    family: frozenset[str]
    full: frozenset[str]

    def __call__(self, texts: Sequence[str], /) -> list[list[Finding]]:
        return [list(self._find(text)) for text in texts]

    def _find(self, text: str) -> Iterator[Finding]:
        for match in _NAME.finditer(text):
            words = match.group().split(" ")
            titled = bool(_TITLE.match(words[0])) and len(words) > 1
            first = 1 if titled else 0
            while first < len(words):
                last = self._last(words, first, titled)
                if last > first:
                    start = match.start() + sum(len(word) + 1 for word in words[:first])
                    yield Finding(start, start + len(" ".join(words[first:last])), "name")
                    first, titled = last, False
                else:
                    first += 1

    def _last(self, words: Sequence[str], first: int, titled: bool) -> int:
        """One past the last word of the name that begins at `first`, or `first` if none does."""
        for last in range(len(words), first, -1):
            if " ".join(words[first:last]) in self.full:
                return last
        if words[first] not in self.given:
            return first + 1 if titled and words[first] in self.family else first
        for last in range(len(words), first + 1, -1):
            if words[last - 1] in self.family:
                return last
        return first + 1 if titled else first


@cache
def name_lists(paths: tuple[str, ...]) -> NameLists:
    """Reads lists of names, one a line: "given NAME", "family NAME", or a full name of two words.

    A file whose name holds "given" or "first" lists given names, "family" or "last" family names.
    Raises UserError if a file cannot be read.
    """
    given: set[str] = set()
    family: set[str] = set()
    full: set[str] = set()
    for path in paths:
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"names: cannot read {path} ({type(error).__name__})") from None
        stem = Path(path).stem.lower()
        target = (
            given if "given" in stem or "first" in stem
            else family if "family" in stem or "last" in stem
            else full
        )  # fmt: skip
        target.update(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    return NameLists(frozenset(given), frozenset(family), frozenset(full))


@dataclass(frozen=True)
class TokenClassifier:
    """A Hugging Face token-classification folder on this machine, as a recogniser.

    With `model.onnx` in the folder it runs on onnxruntime, else on transformers.
    """

    folder: str
    tokens_at_once: int = 384

    def __call__(self, texts: Sequence[str], /) -> list[list[Finding]]:
        return [self._find(text) for text in texts]

    def _find(self, text: str) -> list[Finding]:
        tokenizer, labels, classify = _loaded(self.folder)
        encoding = tokenizer.encode(text, add_special_tokens=False)
        # [CLS] and [SEP], where the model was trained with two such around every text.
        around = tokenizer.encode("").ids
        before, after = (around[:1], around[1:]) if len(around) == 2 else ([], [])
        findings: list[Finding] = []
        for begin in range(0, len(encoding.ids), self.tokens_at_once):
            ids = encoding.ids[begin : begin + self.tokens_at_once]
            offsets = encoding.offsets[begin : begin + self.tokens_at_once]
            numbers = classify([*before, *ids, *after])[len(before) :]
            for number, (start, end) in zip(numbers, offsets, strict=False):
                _extend(findings, labels[number], start, end, text)
        return findings


def _extend(findings: list[Finding], label: str, start: int, end: int, text: str) -> None:
    """Adds a token to the findings: to the last one if it goes on, else as a new one."""
    prefix, _, name = label.rpartition("-") if label[1:2] == "-" else ("", "", label)
    kind = _KIND_OF_LABEL.get(name.upper().replace("_", ""))
    if kind is None or start >= end:
        return
    last = findings[-1] if findings else None
    gap = text[last.end : start] if last else ""
    # A piece of a word goes on without a gap, even where the model says that it begins something.
    if last and last.kind == kind and (not gap or (prefix != "B" and gap.isspace())):
        findings[-1] = Finding(last.start, end, kind)
    else:
        findings.append(Finding(start, end, kind))


@cache
def _loaded(folder: str) -> tuple[Any, Mapping[int, str], Any]:
    """Tokenizer, label names, and the function from ids to one label number a token."""
    import json

    from tokenizers import Tokenizer

    path = Path(folder)
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        labels = {int(number): label for number, label in config["id2label"].items()}
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    except Exception as error:  # tokenizers raises plain Exception
        raise UserError(
            f"recogniser: {folder} is not a token-classification folder "
            f"(config.json with id2label, tokenizer.json): {type(error).__name__}"
        ) from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    onnx = path / "model.onnx"
    return tokenizer, labels, _onnx_classifier(onnx) if onnx.exists() else _torch_classifier(folder)


def _onnx_classifier(model: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise UserError("recogniser: install onnxruntime to run model.onnx") from None
    import numpy as np

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    names = {value.name for value in session.get_inputs()}

    def classify(ids: Sequence[int]) -> list[int]:
        row = np.array([ids], dtype=np.int64)
        values = {"input_ids": row, "attention_mask": row * 0 + 1, "token_type_ids": row * 0}
        logits = session.run(None, {name: values[name] for name in values if name in names})[0]
        chosen: list[int] = logits[0].argmax(-1).tolist()
        return chosen

    return classify


def _torch_classifier(folder: str) -> Any:
    try:
        import transformers
    except ImportError:
        raise UserError(
            "recogniser: install transformers, or put a model.onnx into the folder"
        ) from None
    import torch

    model = transformers.AutoModelForTokenClassification.from_pretrained(
        folder, local_files_only=True
    ).eval()

    def classify(ids: Sequence[int]) -> list[int]:
        with torch.inference_mode():
            chosen: list[int] = model(torch.tensor([ids])).logits[0].argmax(-1).tolist()
        return chosen

    return classify
