"""The stage that finds personal data and replaces it, or drops the documents that hold it."""

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pyarrow as pa

from lilliput.corpus.personal.fakes import Fakes
from lilliput.corpus.personal.finding import Finding
from lilliput.corpus.personal.kinds import KIND_NAMES, TITLES, Search
from lilliput.corpus.personal.masks import mask, masked
from lilliput.corpus.personal.names import Recogniser, TokenClassifier, name_lists
from lilliput.corpus.personal.national import COUNTRIES
from lilliput.corpus.stages import (
    Dropped,
    Example,
    Outcome,
    keeping,
    texts_of,
    with_column,
    with_texts,
)
from lilliput.errors import UserError

ACTIONS = ("placeholder", "consistent", "drop", "count")
SECRET_VARIABLE = "LILLIPUT_PERSONAL_DATA_SECRET"
_EXAMPLES_OF_A_KIND = 3
_ROUNDS = 4

Replace = Callable[[str, Finding], str]


@dataclass(frozen=True)
class PersonalData:
    """Finds personal data and does with it what `action` says.

    `action`: "placeholder" writes "[EMAIL]"; "consistent" writes a fake value of the same form,
    the same for equal values; "drop" leaves out documents with more than `most` findings and
    writes placeholders into the others; "count" changes nothing.

    `kinds` and `countries` say what to look for (empty: everything; names and addresses need
    `recogniser`, a token-classification folder, or `names`, files of names). `placeholder` is the
    form of a placeholder ({KIND} or {kind} stands for the kind), `placeholders` single ones
    ("email=email@example.com"). `secret_file` holds the secret of the fakes; without it the
    environment variable LILLIPUT_PERSONAL_DATA_SECRET does. `column` adds the column
    `personal_data`: JSON, findings per kind.

    A second pass over the outcome finds nothing, but for names and addresses. Reports get masks
    only. Raises UserError for settings that cannot be.
    """

    kinds: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    action: str = "placeholder"
    most: int = 0
    placeholder: str = "[{KIND}]"
    placeholders: tuple[str, ...] = ()
    obfuscated_emails: bool = True
    names: tuple[str, ...] = ()
    recogniser: str | None = None
    secret_file: str | None = None
    column: bool = False

    def __post_init__(self) -> None:
        _among("kinds", self.kinds, KIND_NAMES)
        _among("countries", self.countries, COUNTRIES)
        _among("action", (self.action,), ACTIONS)
        if self.most < 0:
            raise UserError(f"personal_data: most = {self.most}: give 0 or more")
        search = self._search()
        for kind in self.kinds or KIND_NAMES:
            written = self._placeholder(kind)
            if search(f" {written} ") or not written.isprintable():
                raise UserError(
                    f"personal_data: the placeholder for {kind} would itself be found: write one "
                    'without numbers, such as "[{KIND}]"'
                )

    def __call__(self, batch: pa.RecordBatch, /) -> Outcome:
        """Texts edited, documents perhaps dropped; counts by kind, and masked examples."""
        search = replace(self._search(), recognisers=self._recognisers())
        replacing = self._replacing()
        texts = texts_of(batch)
        edited = list(texts)
        tallies: list[Mapping[str, int]] = []
        counts: Counter[str] = Counter()
        shown: Counter[str] = Counter()
        dropped: list[Dropped] = []
        examples: list[Example] = []
        for row, text in enumerate(texts):
            findings = search(text)
            tallies.append(Counter(one.kind for one in findings))
            if not findings:
                continue
            counts.update(_title(one) for one in findings)
            counts["documents with personal data"] += 1
            if self.action == "drop" and len(findings) > self.most:
                detail = f"{len(findings)} of {', '.join(sorted(tallies[-1]))}"
                dropped.append(
                    Dropped(row, "personal_data", detail, sample=masked(text, findings)[:600])
                )
                continue
            if replacing is None:
                after: Sequence[str] = [""] * len(findings)
            else:
                after = [replacing(text[one.start : one.end], one) for one in findings]
                edited[row] = self._replaced(text, findings, after)
            for one, new in zip(findings, after, strict=True):
                shown[one.kind] += 1
                if shown[one.kind] <= _EXAMPLES_OF_A_KIND:
                    hidden = mask(text[one.start : one.end], one.kind)
                    examples.append(Example(row, one.kind, hidden, new or hidden))
        out = with_texts(batch, edited) if replacing is not None else batch
        if self.column:
            values = [json.dumps(dict(sorted(tally.items()))) for tally in tallies]
            out = with_column(out, "personal_data", pa.array(values, pa.string()))
        return keeping(out, dropped, counts=counts, examples=examples)

    def _search(self) -> Search:
        return Search(self.kinds or KIND_NAMES, self.countries, self.obfuscated_emails)

    def _recognisers(self) -> tuple[Recogniser, ...]:
        lists: tuple[Recogniser, ...] = (name_lists(self.names),) if self.names else ()
        return (*lists, TokenClassifier(self.recogniser)) if self.recogniser else lists

    def _replacing(self) -> Replace | None:
        if self.action == "count":
            return None
        if self.action == "consistent":
            return Fakes(_secret(self.secret_file))
        return lambda value, finding: self._placeholder(finding.kind)

    def _placeholder(self, kind: str) -> str:
        given = dict(one.partition("=")[::2] for one in self.placeholders)
        if unknown := set(given) - set(KIND_NAMES):
            raise UserError(f"personal_data: placeholders: no kind {', '.join(sorted(unknown))}")
        return given.get(
            kind, self.placeholder.replace("{KIND}", kind.upper()).replace("{kind}", kind)
        )

    def _replaced(self, text: str, findings: Sequence[Finding], after: Sequence[str]) -> str:
        """The text with its findings replaced, and searched again until nothing is found.

        What is taken away may set free what it overlapped, and a fake may make a number with its
        neighbours: such leftovers get a placeholder, whatever the action.
        """
        text = _spliced(text, findings, after)
        # A model may call a fake name a name again, for ever: only the rules search again.
        search = self._search()
        for _ in range(_ROUNDS):
            left = search(text)
            if not left:
                break
            text = _spliced(text, left, [self._placeholder(one.kind) for one in left])
        return text


def _spliced(text: str, findings: Sequence[Finding], after: Sequence[str]) -> str:
    pieces, place = [], 0
    for one, new in zip(findings, after, strict=True):
        pieces += [text[place : one.start], new]
        place = one.end
    return "".join((*pieces, text[place:]))


def _title(finding: Finding) -> str:
    title = TITLES[finding.kind]
    return f"{title} ({finding.label})" if finding.kind in ("national_id", "key") else title


def _among(setting: str, values: Sequence[str], known: Sequence[str]) -> None:
    for value in values:
        if value not in known:
            raise UserError(f"personal_data: {setting}: no {value!r}; there are {', '.join(known)}")


@cache
def _secret(path: str | None) -> bytes:
    if path is None:
        secret = os.environ.get(SECRET_VARIABLE, "").encode()
        if not secret:
            raise UserError(
                "personal_data: fake values need a secret: name a file in secret_file, "
                f"or set {SECRET_VARIABLE}"
            )
        return secret
    try:
        secret = Path(path).read_bytes().strip()
    except OSError as error:
        raise UserError(
            f"personal_data: secret_file: cannot read {path} ({error.strerror})"
        ) from None
    if len(secret) < 8:
        raise UserError(f"personal_data: secret_file: {path} holds fewer than 8 bytes")
    return secret
