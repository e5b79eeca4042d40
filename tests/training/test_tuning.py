"""Runs that start from a model: continued, on pairs, and given retrieval."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

import lilliput
from lilliput.cli import command
from lilliput.errors import UserError
from lilliput.files import hash_file
from lilliput.model import FAMILIES, load_model
from lilliput.model.retro.config import RetroConfig
from lilliput.model.retro.trunk import Retro, freeze, initialise_retro, is_retrieval
from lilliput.training.checkpoints import list_checkpoints
from lilliput.training.metrics import MetricsFile
from lilliput.training.objective import next_token
from lilliput.training.pair_batches import Pair, continued_pairs
from lilliput.training.retrieval import retrieved_next_token
from lilliput.verbs.training import Run, train

TINY = {"d_model": 32, "depth": 2, "context_length": 64}
NAMES = ["Tom", "Anna", "Ben", "Lily", "Max", "Rosa", "Jack", "Mia"]
CLOCKED = {
    "seconds", "tokens_per_second", "flops_per_second", "peak_share", "memory_bytes", "joules",
    "dollars", "seconds_left",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    """Models this small wait longer for a second thread than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def settings(**training: Any) -> dict[str, Any]:
    data = {"batch_tokens": 512, "micro_batch_tokens": 512}
    common = {"log_every": 2, "device": "cpu", "precision": "float32"}
    return {"data": data, "train": {**common, **training}}


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {name: {**one.get(name, {}), **other.get(name, {})} for name in {**one, **other}}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tokens, pairs, and a decoder and a T5 that a few steps were spent on."""
    folder = tmp_path_factory.mktemp("tuning")
    lilliput.write_stories(300, folder / "stories", seed=4)
    lilliput.train_tokenizer(folder / "stories", folder / "tok.json", vocabulary_size=400)
    tokens = lilliput.tokenize(
        folder / "stories", folder / "tok.json", folder / "tokens", validation_share=0.05
    )
    lines = [
        json.dumps({"input": f"{giver} gave {taker} a {thing}.", "answer": f"{taker} has it."})
        for giver in NAMES
        for taker in NAMES
        for thing in ("cat", "dog", "hat", "cake")
    ]
    (folder / "pairs.jsonl").write_text("\n".join(lines), encoding="utf-8")
    for family in ("lilliput", "t5"):
        model = {**TINY, "family": family}
        train(tokens, name=str(folder / family), model=model, **settings(steps=20))
    return folder


def begun(work: Path, base: str, name: Path, **sections: Any) -> Run:
    """A run on pairs or on tokens that starts from one of the models."""
    given = {"train": {"start_from": str(work / base)}, "data": {"tokens": str(work / "tokens")}}
    return train(name=str(name), **merged(merged(settings(steps=8), given), sections))


def of_pairs(work: Path, **more: Any) -> dict[str, Any]:
    return {"pairs": str(work / "pairs.jsonl"), "held_out_share": 0.2, **more}


def validations(run: Path) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == "validation"]


def test_a_run_goes_on_from_a_models_weights(work: Path, tmp_path: Path) -> None:
    run = begun(work, "lilliput", tmp_path / "on", model={"context_length": 96})
    before = load_model(work / "lilliput" / "model")
    after = load_model(run.path / "model")
    assert (before.config.context_length, after.config.context_length) == (64, 96)
    # Eight steps of warm-up move weights little; drawn ones would be elsewhere altogether.
    apart = (before.head_weight - after.head_weight).norm() / before.head_weight.norm()
    assert 0 < apart < 0.5
    first, last = validations(run.path)[0], validations(work / "lilliput")[-1]
    assert first["loss"] == pytest.approx(last["loss"], abs=0.1)
    assert validations(run.path)[-1]["loss"] < first["loss"]
    assert "Begun from" in (run.path / "model" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("base", ["t5", "lilliput"])
def test_a_model_learns_to_answer(base: str, work: Path, tmp_path: Path) -> None:
    run = begun(
        work, base, tmp_path / base,
        data=of_pairs(work), train={"steps": 150, "validations": 2, "samples": 2},
    )  # fmt: skip
    first, *_, last = validations(run.path)
    assert first["measures"] == {"exact_match": 0.0}
    assert last["measures"]["exact_match"] == run.result.measures["exact_match"] > 0.6
    assert last["bits_per_byte"] < 0.2 * first["bits_per_byte"]
    samples = [record for record in run.metrics if record["kind"] == "sample"]
    assert len(samples) == 6
    model, right = run.model, 0
    for sample in samples[-3:]:
        wanted = sample["expected"]
        answer = model.generate(sample["prompt"], temperature=0, max_tokens=20)[0]
        assert answer == sample["text"]  # the folder says how inputs are put to it
        right += answer == wanted
        others = [f"{name} has it." for name in NAMES if name not in wanted]
        scores = model.score(sample["prompt"], [wanted, *others])
        assert (scores.index(max(scores)) == 0) == (answer == wanted)
    assert right
    assert "Exact match" in (run.path / "model" / "README.md").read_text(encoding="utf-8")
    assert "expected: " in (run.path / "report.html").read_text(encoding="utf-8")


def test_only_the_answer_counts(work: Path) -> None:
    """Against transformers, which has -100 for what is not to be learnt."""
    theirs = AutoModelForCausalLM.from_pretrained(work / "lilliput" / "model").eval()
    ours = load_model(work / "lilliput" / "model")
    pairs = [Pair([0, 7, 8, 9], [10, 11]), Pair([0, 5], [6, 7, 8, 9, 10]), Pair([3], [])]
    total, count = next_token(ours, continued_pairs(pairs, end=0, padding=1))
    nats = 0.0
    for pair in pairs:
        ids = torch.tensor([[*pair.read, *pair.written, 0]])
        labels = ids.clone()
        labels[:, : len(pair.read)] = -100
        with torch.no_grad():
            nats += float(theirs(ids, labels=labels).loss) * (len(pair.written) + 1)
    assert float(total) == pytest.approx(nats, rel=1e-4)
    assert count == 10


def test_bits_per_byte_are_of_the_answers_text(work: Path, tmp_path: Path) -> None:
    held_out = tmp_path / "held_out.csv"
    held_out.write_text('input,answer\nTom gave Mia a cat.,"Mia has it, Ö."\n', encoding="utf-8")
    data = of_pairs(work, held_out_pairs=str(held_out), frame="Q: {input}\nA: ")
    run = begun(work, "lilliput", tmp_path / "csv", data=data)
    model = run.model
    prompt, answer = "Tom gave Mia a cat.", "Mia has it, Ö."
    ids = model.prompt_ids(prompt)
    text = model.tokenizer.decode(ids[1:])
    assert text == "Q: Tom gave Mia a cat.\nA: "
    row = torch.tensor([[*ids, *model.tokenizer.encode(answer), 0]])
    scores = model.logits(row)[0, len(ids) - 1 : -1].log_softmax(-1)
    nats = -float(scores.gather(1, row[0, len(ids) :, None]).sum())
    bits = nats / torch.tensor(2.0).log().item() / len(answer.encode())
    assert validations(run.path)[-1]["bits_per_byte"] == pytest.approx(bits, rel=1e-3)


def test_retrofit_trains_retrieval_and_nothing_else(work: Path, tmp_path: Path) -> None:
    run = begun(
        work, "lilliput", tmp_path / "fitted",
        model={"family": "retro", "chunk_length": 8, "layers_before_retrieval": 0},
        train={"steps": 30, "checkpoint_steps": 15},
    )  # fmt: skip
    base = load_file(work / "lilliput" / "model" / "model.safetensors")
    before = load_model(work / "lilliput" / "model").state_dict()
    after = load_model(run.path / "model").state_dict()
    assert len(before) == len(base)
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    new = after.keys() - before.keys()
    assert new
    assert all(is_retrieval(name) for name in new)
    assert all(after[name].abs().max() > 0 for name in new if name.endswith("gate"))
    # With its gates closed it is the base: the first validation is the base's.
    first, *_, last = validations(run.path)
    assert last["bits_per_byte"] < first["bits_per_byte"]
    [*_, checkpoint] = list_checkpoints(run.path)
    assert load_file(checkpoint / "weights.safetensors").keys() == new


def test_the_cost_of_fitting_is_what_pytorch_counts() -> None:
    base = FAMILIES["lilliput"].shape(
        n_layers=4, d_model=64, vocabulary_size=500, context_length=128
    )
    config = RetroConfig.over(base, chunk_length=16, layers_before_retrieval=2)
    model = Retro(config)
    initialise_retro(model, 1)
    ids = torch.randint(0, 500, (2, 128))
    batch = ids, ids, torch.randint(0, 500, (2, 8, 2, 32))

    def counted() -> int:
        with FlopCounterMode(display=False) as counter:
            total, _ = retrieved_next_token(model, batch)
            total.backward()  # type: ignore[no-untyped-call]
        return int(counter.get_total_flops())

    whole = counted()
    freeze(model)
    share = counted() / whole
    expected = config.fitting_flops_per_token / config.flops_per_token()
    assert share == pytest.approx(expected, abs=0.06)
    assert share < 0.95


def test_weights_that_were_trained_before_are_moved_gently(work: Path) -> None:
    def rates(**sections: Any) -> list[float | None]:
        found = lilliput.plan(work / "tokens", **sections).optimizer
        return [found.matrix_learning_rate, found.learning_rate, found.embedding_learning_rate]

    new = rates(train={"steps": 3}, model=TINY)
    start = {"steps": 3, "start_from": str(work / "lilliput")}
    assert rates(train=start) == pytest.approx([0.3 * rate for rate in new if rate])
    assert rates(train=start, model={"family": "retro", "chunk_length": 8}) == new
    assert rates(train=start, optimizer={"matrix_learning_rate": 0.5})[0] == 0.5


class Killed(BaseException):
    """Nothing catches this, as nothing catches a kill."""


@pytest.mark.parametrize("kind", ["t5 on pairs", "decoder on pairs", "fitted", "continued"])
def test_a_killed_run_ends_with_the_same_bits(
    kind: str, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = "t5" if kind.startswith("t5") else "lilliput"
    sections: dict[str, Any] = {"train": {"steps": 14, "checkpoint_steps": 4, "samples": 2}}
    if "pairs" in kind:
        sections["data"] = of_pairs(work, batch_tokens=256, micro_batch_tokens=128)
    if kind == "fitted":
        sections["model"] = {"family": "retro", "chunk_length": 8, "layers_before_retrieval": 0}
    straight = begun(work, base, tmp_path / "straight", **sections)
    record = MetricsFile.record

    def fatal(self: MetricsFile, values: Any) -> None:
        record(self, values)
        if values["kind"] == "step" and values["step"] == 10:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(MetricsFile, "record", fatal)
        with pytest.raises(Killed):
            begun(work, base, tmp_path / "killed", **sections)
    lilliput.resume(tmp_path / "killed")
    weights = [
        hash_file(tmp_path / name / "model" / "model.safetensors")
        for name in ("straight", "killed")
    ]
    assert weights[0] == weights[1]
    assert facts_of(straight.path) == facts_of(tmp_path / "killed")


def facts_of(run: Path) -> list[dict[str, Any]]:
    """The metrics without what a clock decides, and without events."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        {key: value for key, value in record.items() if key not in CLOCKED}
        for record in map(json.loads, lines)
        if record["kind"] != "event"
    ]


def test_a_run_is_not_resumed_on_other_pairs_or_another_base(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_bytes((work / "pairs.jsonl").read_bytes())

    def fatal(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("lilliput.training.run._Run._finish", fatal)
        with pytest.raises(Killed):
            begun(
                work, "lilliput", tmp_path / "run",
                data=of_pairs(work, pairs=str(pairs)), train={"checkpoint_steps": 4},
            )  # fmt: skip
    with pairs.open("a", encoding="utf-8") as handle:
        handle.write('\n{"input": "Who?", "answer": "Me."}\n')
    with pytest.raises(UserError, match="its data, or the model it started from"):
        lilliput.resume(tmp_path / "run")


@pytest.mark.parametrize(
    ("base", "sections", "message"),
    [
        ("nowhere", {}, "no such folder; give a model folder"),
        ("lilliput", {"model": {"depth": 3}}, "2 layers of width 32; leave out model.depth"),
        ("lilliput", {"model": {"size": "m"}}, "leave out model.depth and model.size"),
        ("lilliput", {"model": {"family": "llama"}}, "is of family lilliput, not llama"),
        ("lilliput", {"model": {"d_ff": 48}}, "do not fit what .model. says: blocks.0"),
        ("lilliput", {"model": {"n_future_tokens": 1}}, "is missing there and should be"),
        ("lilliput", {"model": {"chunk_length": 4}}, "model.chunk_length: no such field"),
        ("t5", {"model": {"family": "retro"}}, "only a decoder can be given retrieval"),
        ("lilliput", {"data": {"frame": "{input} {input}"}}, "must stand in it once"),
        ("lilliput", {"data": {"input_field": "question"}}, "no field 'question'"),
        ("lilliput", {"data": {"held_out_share": 1.0}}, "data.held_out_share is 1.0"),
        ("lilliput", {"data": {"batch_tokens": 3}}, "less than the mean pair"),
        ("lilliput", {"model": {"context_length": 8}}, "no pair to train on fits"),
        ("lilliput", {"model": {"family": "retro"}}, r"model.chunk_length .64. must be below"),
        (
            "lilliput",
            {"model": {"family": "retro", "chunk_length": 8}},
            "is not trained on pairs yet",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    base: str, sections: dict[str, Any], message: str, work: Path, tmp_path: Path
) -> None:
    given = merged({"data": of_pairs(work)}, sections)
    with pytest.raises(UserError, match=message):
        begun(work, base, tmp_path / "refused", **given)
    assert not (tmp_path / "refused").exists()


def test_tokens_of_another_tokenizer_are_refused(work: Path, tmp_path: Path) -> None:
    lilliput.train_tokenizer(work / "stories", tmp_path / "tok.json", vocabulary_size=300)
    other = lilliput.tokenize(work / "stories", tmp_path / "tok.json", tmp_path / "tokens")
    with pytest.raises(UserError, match="was made with another tokenizer than"):
        begun(work, "lilliput", tmp_path / "run", data={"tokens": str(other)})


def test_pairs_without_a_model_to_start_from(work: Path, tmp_path: Path) -> None:
    """New weights; the tokenizer is that of the tokens."""
    pairs = tmp_path / "two.jsonl"
    lines = ['{"input": "a", "answer": "b"}', '{"input": "b", "answer": "a"}']
    pairs.write_text("\n".join([*lines, json.dumps({"input": "a " * 200, "answer": ""})]), "utf-8")
    arguments = [
        "train", str(work / "tokens"), "--data.pairs", str(pairs), "--family", "t5-v1.0", "--depth",
        "1", "--model.context-length", "32", "--steps", "2", "--name", str(tmp_path / "run"),
        "--device", "cpu",
    ]  # fmt: skip
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert "exact match" in result.output
    metrics = (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8")
    assert "1 pairs to train on, 1 held out; 1 longer than the context left out" in metrics
