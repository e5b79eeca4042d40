"""The contenders of the inference benchmark: each writes the same texts and tells how fast."""

import json
import statistics
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lilliput.generate import LanguageModel, Sampling
    from lilliput.generate.constraints import ConstraintMaker

SHORT_PROMPT, LONG_PROMPT = 16, 256
PERSONA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 18, "maximum": 99},
        "sex": {"enum": ["female", "male", "other"]},
        "address": {
            "type": "object",
            "properties": {
                "town": {"type": "string", "maxLength": 20},
                "postcode": {"type": "string", "pattern": "^[0-9]{5}$"},
            },
            "required": ["town", "postcode"],
            "additionalProperties": False,
        },
        "hobbies": {
            "type": "array",
            "items": {"enum": ["reading", "football", "cooking", "music", "gardening"]},
            "minItems": 1,
            "maxItems": 3,
        },
        "employed": {"type": "boolean"},
    },
    "required": ["name", "age", "sex", "address", "hobbies", "employed"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Task:
    """One measurement: what, by whom, on which files."""

    kind: str
    contender: str
    files: dict[str, str]
    threads: int
    rows: int
    tokens: int

    def as_plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def prompt(self, length: int, row: int = 0) -> list[int]:
        """Ids of a prompt; rows differ after the first."""
        return [0, *(16 + (7 * place + 31 * row) % 256 for place in range(length - 1))]

    @property
    def prompts(self) -> list[list[int]]:
        """A short prompt for each row."""
        return [self.prompt(SHORT_PROMPT, row) for row in range(self.rows)]


@dataclass(frozen=True)
class Contender:
    """What a contender takes part in, and how its files are written."""

    measure: Callable[[Task], dict[str, float]]
    precision: str
    file_kind: str
    kinds: tuple[str, ...] = ("latency",)


def run(task: Task) -> dict[str, float]:
    """The figures of one measurement."""
    return CONTENDERS[task.contender].measure(task)


def _latency(
    write: Callable[[list[int], int], int], task: Task, first: Callable[[list[int]], None]
) -> dict[str, float]:
    """Seconds of one text and of a first token, after a warm-up of each.

    `write` writes so many tokens after a prompt and returns how many; `first` writes one.
    """
    write(task.prompt(SHORT_PROMPT), 8)
    started = time.perf_counter()
    written = write(task.prompt(SHORT_PROMPT), task.tokens)
    seconds = time.perf_counter() - started
    first(task.prompt(LONG_PROMPT, row=1))
    started = time.perf_counter()
    first(task.prompt(LONG_PROMPT, row=2))
    milliseconds = 1000 * (time.perf_counter() - started)
    return {"tokens_per_second": written / seconds, "first_token_ms": milliseconds}


def _throughput(seconds: float, tokens: int, rows: int) -> dict[str, float]:
    return {"tokens_per_second": tokens / seconds, "records_per_second": rows / seconds}


def lilliput(task: Task) -> dict[str, float]:
    """Ours, through the Python API."""
    import torch

    import lilliput as own
    from lilliput.generate import Sampling

    torch.set_num_threads(task.threads)
    model = own.load(task.files["model"], "cpu")
    model.end_tokens = ()
    if task.kind == "latency":

        def write(prompt: list[int], tokens: int) -> int:
            sampling = Sampling(temperature=0, max_tokens=tokens)
            return len(model.complete([prompt], sampling)[0][0].ids)

        return _latency(write, task, lambda prompt: _ignore(write(prompt, 1)))
    sampling = Sampling(temperature=1.0, max_tokens=task.tokens, seed=1)
    if task.kind == "overhead":
        return _overhead(task, sampling)
    if task.kind == "constrained":
        from lilliput.generate.constraints.rules import json_schema

        model = own.load(task.files["model"], "cpu")
        rule = json_schema(PERSONA, model.tokenizer, end_tokens=model.end_tokens)
        model.complete(task.prompts[:2], sampling, constraint=rule)
        started = time.perf_counter()
        records = [one[0] for one in model.complete(task.prompts, sampling, constraint=rule)]
        seconds = time.perf_counter() - started
        written = sum(len(one.ids) for one in records)
        valid = _valid(one.text for one in records)
        return _throughput(seconds, written, task.rows) | {"valid": valid}
    model.complete(task.prompts[:2], sampling)
    started = time.perf_counter()
    completions = model.complete(task.prompts, sampling)
    seconds = time.perf_counter() - started
    return _throughput(seconds, sum(len(one[0].ids) for one in completions), task.rows)


def _overhead(task: Task, sampling: "Sampling") -> dict[str, float]:
    """Tokens a second while all texts are being written, free and under rules, in turn."""
    import lilliput as own
    from lilliput.generate.constraints.rules import json_schema, regex

    free = own.load(task.files["model"], "cpu")
    free.end_tokens = ()
    ruled = own.load(task.files["model"], "cpu")
    rules = {
        "free": (free, None),
        "any_text": (
            ruled,
            regex(f"(?s:.{{{task.tokens}}})", ruled.tokenizer, end_tokens=ruled.end_tokens),
        ),
        "persona": (ruled, json_schema(PERSONA, ruled.tokenizer, end_tokens=ruled.end_tokens)),
    }
    rates: dict[str, list[float]] = {name: [] for name in rules}
    for _ in range(3):
        for name, (model, rule) in rules.items():
            rates[name].append(_full_rate(model, task, sampling, rule))
    middle = {name: statistics.median(found) for name, found in rates.items()}
    alone = middle.pop("free")
    figures = {f"{name}_of_free": rate / alone for name, rate in middle.items()}
    return {"tokens_per_second": alone, **figures}


def _full_rate(
    model: "LanguageModel", task: Task, sampling: "Sampling", rule: "ConstraintMaker | None"
) -> float:
    """Tokens a second, forced ones too, from all prompts' being read to the first text's end."""
    from lilliput.generate.requests import Request

    engine = model.engine(prefix_cache_bytes=0)
    for row, prompt in enumerate(task.prompts):
        constraint = None if rule is None else rule.start(tuple(prompt), "")
        engine.submit(Request(tuple(prompt), sampling, 1, row, constraint, 0, False))
    while engine.statistics.waiting or not engine.step():
        pass
    tokens, ended, started = 0, False, time.perf_counter()
    while not ended:
        events = engine.step()
        tokens += sum(len(event.written) for event in events)
        ended = any(event.finish for event in events)
    return tokens / (time.perf_counter() - started)


def transformers(task: Task) -> dict[str, float]:
    """transformers' `generate` with its usual cache, float32."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(task.threads)
    model = AutoModelForCausalLM.from_pretrained(task.files["model"], dtype=torch.float32).eval()

    def write(prompts: list[list[int]], tokens: int, **sampling: Any) -> int:
        ids = torch.tensor(prompts)
        with torch.inference_mode():
            made = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                min_new_tokens=tokens,
                max_new_tokens=tokens,
                pad_token_id=1,
                **sampling,
            )
        return int(made.shape[0] * (made.shape[1] - ids.shape[1]))

    if task.kind == "latency":
        return _latency(
            lambda prompt, tokens: write([prompt], tokens, do_sample=False),
            task,
            lambda prompt: _ignore(write([prompt], 1, do_sample=False)),
        )
    write(task.prompts[:2], 8, do_sample=True)
    started = time.perf_counter()
    written = write(task.prompts, task.tokens, do_sample=True, top_k=0)
    return _throughput(time.perf_counter() - started, written, task.rows)


def llama_cpp(task: Task) -> dict[str, float]:
    """llama.cpp's server in this process, through xllamacpp."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = task.files["gguf"]
    settings.n_ctx, settings.n_parallel, settings.n_gpu_layers = 512 * task.rows, task.rows, 0
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = task.threads
    settings.verbosity = -1
    server = xllamacpp.Server(settings)
    common = {"cache_prompt": False, "temperature": 0, "ignore_eos": True}

    def write(prompt: list[int], tokens: int) -> int:
        answer = server.handle_completions({"prompt": prompt, "n_predict": tokens, **common})
        return int(answer["timings"]["predicted_n"])

    if task.kind == "latency":
        return _latency(write, task, lambda prompt: _ignore(write(prompt, 1)))
    address = server.listening_address
    extra: dict[str, Any] = {"temperature": 1.0, "cache_prompt": False, "top_k": 0, "top_p": 1.0}
    if task.kind == "constrained":
        extra["json_schema"] = PERSONA
    else:
        extra["ignore_eos"] = True
    texts: list[str] = []
    lock = threading.Lock()

    def ask(prompt: list[int]) -> int:
        question = {"prompt": prompt, "n_predict": task.tokens, **extra}
        request = urllib.request.Request(
            f"{address}/completion",
            json.dumps(question).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=600) as answer:
            facts = json.load(answer)
        with lock:
            texts.append(facts["content"])
        return int(facts["tokens_predicted"])

    ask(task.prompts[0])
    texts.clear()
    with ThreadPoolExecutor(task.rows) as pool:
        started = time.perf_counter()
        written = sum(pool.map(ask, task.prompts))
        seconds = time.perf_counter() - started
    figures = _throughput(seconds, written, task.rows)
    return figures | ({"valid": _valid(texts)} if task.kind == "constrained" else {})


def onnxruntime(task: Task) -> dict[str, float]:
    """onnxruntime-genai's generator on its own builder's model."""
    sys.path.append(task.files["genai"])
    import onnxruntime_genai

    config = Path(task.files["onnx"]) / "genai_config.json"
    values = json.loads(config.read_text(encoding="utf-8"))
    options = values["model"]["decoder"]["session_options"]
    options["intra_op_num_threads"] = task.threads
    config.write_text(json.dumps(values), encoding="utf-8")
    model = onnxruntime_genai.Model(task.files["onnx"])

    def write(prompt: list[int], tokens: int) -> int:
        params = onnxruntime_genai.GeneratorParams(model)
        length = len(prompt) + tokens
        params.set_search_options(do_sample=False, max_length=length, min_length=length)
        generator = onnxruntime_genai.Generator(model, params)
        generator.append_tokens(prompt)
        written = 0
        while not generator.is_done():
            generator.generate_next_token()
            written += 1
        return written

    return _latency(write, task, lambda prompt: _ignore(write(prompt, 1)))


def _valid(texts: Iterator[str] | list[str]) -> float:
    """The share of texts that parse as JSON."""
    good = []
    for text in texts:
        try:
            json.loads(text)
        except ValueError:
            good.append(False)
        else:
            good.append(True)
    return sum(good) / len(good)


def _ignore(_: int) -> None:
    """For callbacks that return nothing."""


_ALL = ("latency", "throughput", "constrained")
CONTENDERS: Mapping[str, Contender] = {
    "lilliput f32": Contender(lilliput, "float32", "float32", (*_ALL, "overhead")),
    "transformers": Contender(transformers, "float32", "f32", ("latency", "throughput")),
    "llama.cpp f32": Contender(llama_cpp, "float32", "f32", _ALL),
    "onnxruntime fp32": Contender(onnxruntime, "float32", "fp32"),
    "lilliput int8": Contender(lilliput, "8 bits", "int8", (*_ALL, "overhead")),
    "llama.cpp q8_0": Contender(llama_cpp, "8 bits", "q8_0", _ALL),
    "lilliput int4": Contender(lilliput, "4 bits", "int4"),
    "llama.cpp q4_0": Contender(llama_cpp, "4 bits", "q4_0"),
    "onnxruntime int4": Contender(onnxruntime, "4 bits", "int4"),
}
