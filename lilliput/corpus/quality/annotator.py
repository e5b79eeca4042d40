"""Annotation of documents by a language model behind an OpenAI-compatible endpoint.

FineWeb-Edu's first step (arXiv 2406.17557): a large model scores a sample, and a cheap classifier
learns from it to score the rest. Answers are kept on disk, so that work goes on where it stopped.
"""

import hashlib
import heapq
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from lilliput.corpus.documents import Document
from lilliput.corpus.folder import CorpusManifest, write_corpus
from lilliput.corpus.quality.annotation_task import AnnotationTask, annotation_task
from lilliput.corpus.quality.answer_store import AnswerStore, question_key
from lilliput.corpus.quality.chat_endpoint import ChatEndpoint, Refused
from lilliput.corpus.stages import Outcome, texts_of, with_column
from lilliput.errors import UserError
from lilliput.progress import progress

_BYTES_PER_TOKEN = 4  # of English under the usual vocabularies; only estimates use it
_DOCUMENTS_AT_ONCE = 256


@dataclass(frozen=True)
class Annotate:
    """Ask a language model about each document; each property of its answer becomes a column.

    `endpoint` is the address of an OpenAI-compatible server up to and with `/v1`, `model` the name
    it knows the model by. `task` is "education" (columns `reason` and `education`, FineWeb-Edu's
    scale from 0 to 5), "topic" (column `topic`) or a JSON file with `prompt` and `schema`. The
    first `most_characters` of a text are sent; `key_variable` names the environment variable that
    holds the key. `constrained` asks the server to hold the model to the schema.

    An answer that does not fit is asked for again, `attempts` times in all, then left null. Answers
    are kept in the file `cache`, by model, task and text. With `offline` only a server on this
    machine is asked. In a build every worker asks `at_once` questions at a time.
    """

    endpoint: str
    model: str
    task: str = "education"
    cache: str = "annotations.sqlite"
    key_variable: str | None = None
    at_once: int = 8
    attempts: int = 3
    retries: int = 6
    timeout_seconds: float = 120.0
    first_wait: float = 1.0
    most_characters: int = 6000
    answer_tokens: int = 300
    constrained: bool = True
    offline: bool = False

    def __post_init__(self) -> None:
        for name in ("at_once", "attempts", "most_characters", "answer_tokens"):
            if getattr(self, name) < 1:
                raise UserError(f"annotate: {name} = {getattr(self, name)}: at least 1")
        if self.retries < 0 or self.timeout_seconds <= 0 or self.first_wait < 0:
            raise UserError("annotate: retries, timeout_seconds and first_wait are not negative")
        is_local = ChatEndpoint(self.endpoint).is_local
        if self.offline and not is_local:
            raise UserError(
                f"annotate: offline, so texts are not sent to {self.endpoint}; "
                "a server on this machine (127.0.0.1) may be asked"
            )

    def __call__(self, batch: pa.RecordBatch) -> Outcome:
        answers, use = self.annotate(texts_of(batch))
        for name, kind in annotation_task(self.task).columns.items():
            values = [None if answer is None else answer[name] for answer in answers]
            batch = with_column(batch, name, pa.array(values, kind))
        # What the cache spared is not counted: a build's record must not tell of earlier ones.
        return Outcome(batch, counts={"annotated": use.answered, "left empty": use.empty})

    def chat_endpoint(self) -> ChatEndpoint:
        """The server, with the key from the environment."""
        key = None
        if self.key_variable is not None:
            key = os.environ.get(self.key_variable)
            if not key:
                raise UserError(
                    f"annotate: the environment variable {self.key_variable} is not set"
                )
        return ChatEndpoint(self.endpoint, key, self.timeout_seconds, self.retries, self.first_wait)

    def question(self, task: AnnotationTask, text: str) -> str:
        """What a text's answer is kept under."""
        return question_key(
            {
                "model": self.model,
                "prompt": task.prompt,
                "schema": task.schema,
                "text": text[: self.most_characters],
                "answer_tokens": self.answer_tokens,
            }
        )

    def annotate(self, texts: Sequence[str]) -> tuple[list[dict[str, Any] | None], "Use"]:
        """The answer for each text, null where there is none, and what they took.

        Raises WorkFailed if the server stays away, UserError if it refuses every question.
        """
        task, endpoint, use = annotation_task(self.task), self.chat_endpoint(), Use()
        questions = [self.question(task, text) for text in texts]
        with AnswerStore(self.cache) as store:
            known: dict[str, Any] = store.find(questions)
            use.from_cache = len(known)
            missing = {
                question: text
                for question, text in zip(questions, texts, strict=True)
                if question not in known
            }
            refusals = []
            stop = threading.Event()
            with ThreadPoolExecutor(self.at_once) as pool:
                asked = {
                    pool.submit(self._ask, endpoint, task, text, stop): question
                    for question, text in missing.items()
                }
                try:
                    for done in as_completed(asked):
                        answer, took, refusal = done.result()
                        use.add(took)
                        if answer is not None:
                            known[asked[done]] = answer
                            store.keep(asked[done], answer)
                        elif refusal:
                            refusals.append(refusal)
                except BaseException:
                    stop.set()
                    pool.shutdown(cancel_futures=True)
                    # What came in the meantime has been paid for.
                    for late, question in asked.items():
                        if not late.cancelled() and late.exception() is None:
                            answer, _, _ = late.result()
                            if answer is not None:
                                store.keep(question, answer)
                    raise
        if refusals and len(refusals) == len(missing):
            raise UserError(f"{self.endpoint}: refuses every question: {refusals[0]}")
        answers = [known.get(question) for question in questions]
        use.empty = sum(answer is None for answer in answers)
        use.answered = len(answers) - use.empty
        return answers, use

    def _ask(
        self, endpoint: ChatEndpoint, task: AnnotationTask, text: str, stop: threading.Event
    ) -> tuple[dict[str, Any] | None, "Use", str]:
        use = Use()
        asked = task.question(text[: self.most_characters])
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": asked}],
            "max_tokens": self.answer_tokens,
        }
        if self.constrained:
            stated = {"name": "answer", "schema": task.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": stated}
        for attempt in range(self.attempts):
            # The likeliest answer first; asked again in the same way it would come again.
            body |= {"temperature": 0.7 if attempt else 0.0, "seed": attempt}
            try:
                reply = endpoint.ask(body, stop)
            except Refused as refusal:
                use.refused += 1
                return None, use, str(refusal)
            use.requests += 1
            use.prompt_tokens += reply.prompt_tokens
            use.answer_tokens += reply.answer_tokens
            answer = task.read(reply.text)
            if answer is not None:
                return answer, use, ""
            use.unparsable += 1
        return None, use, ""


@dataclass
class Use:
    """What annotating took: counts of documents, requests and tokens."""

    answered: int = 0
    empty: int = 0
    from_cache: int = 0
    requests: int = 0
    unparsable: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0

    def add(self, other: "Use") -> None:
        """Add another's counts to these."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True)
class Price:
    """Dollars for a million tokens of questions and of answers."""

    prompt: float = 0.0
    answer: float = 0.0

    def of(self, prompt_tokens: float, answer_tokens: float) -> float:
        """Dollars for so many tokens."""
        return (prompt_tokens * self.prompt + answer_tokens * self.answer) / 1e6


@dataclass(frozen=True)
class Estimate:
    """What annotating would take: a token is supposed to be four bytes, an answer as long as it may
    be, so that the truth is rather below."""

    documents: int
    from_cache: int
    prompt_tokens: int
    answer_tokens: int
    dollars: float


def estimate(documents: Iterable[Document], stage: Annotate, price: Price) -> Estimate:
    """Predict tokens and dollars without asking anything."""
    task = annotation_task(stage.task)
    count = known = prompt = 0
    exists = Path(stage.cache).is_file()
    for some in _groups(documents):
        texts = [document.text for document in some]
        found: Mapping[str, Any] = {}
        if exists:
            with AnswerStore(stage.cache) as store:
                found = store.find(stage.question(task, text) for text in texts)
        for text in texts:
            count += 1
            if stage.question(task, text) in found:
                known += 1
                continue
            asked = task.question(text[: stage.most_characters])
            prompt += -(-len(asked.encode("utf-8")) // _BYTES_PER_TOKEN)
    answers = (count - known) * stage.answer_tokens
    return Estimate(count, known, prompt, answers, price.of(prompt, answers))


def draw(documents: Iterable[Document], count: int) -> Iterator[Document]:
    """The `count` documents whose ids have the smallest hashes: as good as drawn by lot."""
    if count < 1:
        raise UserError(f"a sample of {count} documents: at least 1")
    chosen = heapq.nsmallest(
        count,
        enumerate(documents),
        key=lambda numbered: hashlib.blake2b(numbered[1].id.encode("utf-8")).digest(),
    )
    for _, document in sorted(chosen, key=lambda numbered: numbered[0]):
        yield document


@dataclass(frozen=True)
class Annotated:
    """A corpus written with annotations, and what they took."""

    manifest: CorpusManifest
    use: Use = field(default_factory=Use)


def annotate_documents(
    documents: Iterable[Document],
    folder: Path | str,
    stage: Annotate,
    *,
    total: int | None = None,
    overwrite: bool = False,
) -> Annotated:
    """Write documents, annotated, as a corpus folder. Stopped, it goes on from the cache."""
    use = Use()

    def annotated() -> Iterator[Document]:
        with progress("Annotating", total=total, unit="documents") as advance:
            for some in _groups(documents, max(_DOCUMENTS_AT_ONCE, 4 * stage.at_once)):
                answers, took = stage.annotate([document.text for document in some])
                use.add(took)
                for document, answer in zip(some, answers, strict=True):
                    metadata = {**document.metadata, **(answer or {})}
                    yield Document(document.id, document.text, document.source, metadata)
                advance(len(some))

    settings = {
        name: value
        for name, value in asdict(stage).items()
        if name in ("model", "task", "most_characters", "answer_tokens", "constrained")
    }
    manifest = write_corpus(
        annotated(), folder, settings={"annotate": settings}, overwrite=overwrite
    )
    return Annotated(manifest, use)


def _groups(
    documents: Iterable[Document], size: int = _DOCUMENTS_AT_ONCE
) -> Iterator[list[Document]]:
    waiting = iter(documents)
    while some := list(islice(waiting, size)):
        yield some
