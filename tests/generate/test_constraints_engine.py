"""Rules under the engine: batches, streams, budgets and the command line."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest

from lilliput.cli import main
from lilliput.errors import UserError, WorkFailed
from lilliput.generate import LanguageModel, Sampling
from lilliput.generate.constraints.rules import choices, json_schema, regex
from lilliput.generate.constraints.typed import SpanOf

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 99}, "s": {"type": "string"}},
    "required": ["n", "s"],
}


@pytest.mark.parametrize("max_tokens", [16, 24, 48])
@pytest.mark.parametrize("temperature", [0, 1.5])
def test_every_text_of_a_batch_satisfies_the_schema(
    model: LanguageModel, max_tokens: int, temperature: float
) -> None:
    rule = json_schema(SCHEMA, model.tokenizer, end_tokens=model.end_tokens)
    settings = Sampling(max_tokens=max_tokens, temperature=temperature, seed=1)
    prompts = [model.prompt_ids("The cat sat"), model.prompt_ids("Once")]
    for completions in model.complete(prompts, settings, n=20, constraint=rule):
        for one in completions:
            value = json.loads(one.text)
            assert 0 <= value["n"] <= 99 and isinstance(value["s"], str)
            assert one.finish == "end" and len(one.ids) <= max_tokens


def test_a_text_does_not_depend_on_the_batch(model: LanguageModel) -> None:
    rule = regex("[a-z ]{5,40}", model.tokenizer, end_tokens=model.end_tokens)
    many = model.generate("The cat", n=6, seed=3, max_tokens=30, constraint=rule)
    alone = model.generate("The cat", n=1, seed=3, max_tokens=30, constraint=rule)
    assert many[0] == alone[0] and len(set(many)) > 1
    pieces = model.generate("The cat", stream=True, seed=3, max_tokens=30, constraint=rule)
    assert "".join(pieces) == alone[0]


def test_a_rule_that_lets_everything_through_changes_nothing(model: LanguageModel) -> None:
    """Of texts in ASCII, which the bias sees to: special tokens and broken letters are no text."""
    table = model.tokenizer.bytes_of
    bias = {token: -math.inf for token, one in enumerate(table) if not one or max(one) > 127}
    bias = {token: value for token, value in bias.items() if token not in model.end_tokens}
    rule = regex("(?s:.*)", model.tokenizer, end_tokens=model.end_tokens)
    settings: dict[str, Any] = {"seed": 5, "max_tokens": 40, "n": 8, "logit_bias": bias}
    free = model.generate("The dog", **settings)
    assert free == model.generate("The dog", constraint=rule, **settings)
    assert len(set(free)) == 8


def test_into_a_type(model: LanguageModel) -> None:
    @dataclass
    class Found:
        who: Annotated[str, SpanOf("prompt")]
        times: Annotated[int, {"minimum": 1, "maximum": 3}]

    made = model.generate("The cat saw Anna", into=Found, n=10, seed=0, max_tokens=30)
    assert all(isinstance(one, Found) and one.who in "The cat saw Anna" for one in made)


def test_too_small_a_budget_is_the_users_mistake(model: LanguageModel) -> None:
    rule = json_schema(SCHEMA, model.tokenizer, end_tokens=model.end_tokens)
    with pytest.raises(UserError, match="only 3 may be written"):
        model.generate("The cat", max_tokens=3, constraint=rule)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    main(["generate", *map(str, arguments)])
    return capsys.readouterr().out


def test_the_options_of_the_command(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema, grammar, lines = tmp_path / "s.json", tmp_path / "g.gbnf", tmp_path / "c.txt"
    schema.write_text(json.dumps(SCHEMA), encoding="utf-8")
    grammar.write_text('root ::= "a" [0-9]{2}', encoding="utf-8")
    lines.write_text("red fox\nblue, whale\n", encoding="utf-8")
    common = [folders["lilliput"], "The cat", "--max-tokens", 30, "--seed", 1, "--device", "cpu"]

    def text(*options: object) -> str:
        facts = json.loads(run(capsys, *common, "--json", *options))
        written: str = facts["completions"][0]["text"]
        return written

    assert json.loads(text("--json-schema", schema)).keys() == {"n", "s"}
    assert '"n": ' in text("--json-schema", schema, "--json-spaces")
    assert isinstance(json.loads(text("--json-object")), dict)
    assert text("--regex", "x[0-9]y") in {f"x{digit}y" for digit in range(10)}
    assert text("--grammar", grammar)[1:].isdigit()
    assert text("--choices", "yes,no") in ("yes", "no")
    assert text("--choices", lines) in ("red fox", "blue, whale")
    streamed = run(capsys, *common, "--stream", "--choices", "yes,no").strip()
    assert streamed in ("The catyes", "The catno")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--regex", "a", "--choices", "b"], "give one of"),
        (["--regex", "("], "unclosed"),
        (["--json-schema", "missing.json"], "cannot be read"),
        (["--regex", "a", "--beams", "2"], "--beams"),
    ],
)
def test_wrong_options_are_the_users_mistake(
    folders: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    with pytest.raises(SystemExit) as end:
        run(capsys, folders["lilliput"], "The cat", "--device", "cpu", *options)
    assert end.value.code == 2 and message in capsys.readouterr().err


def test_choices_can_be_chosen_by_the_model(model: LanguageModel) -> None:
    rule = choices(["cat", "dog"], model.tokenizer, end_tokens=model.end_tokens)
    found = set(model.generate("The", n=40, temperature=3.0, seed=2, constraint=rule))
    assert found <= {"cat", "dog"} and found


class _Failing:
    """A rule that allows everything and breaks down at the token of one number, in one place."""

    finished = False

    def __init__(self, at: int, where: str) -> None:
        self._left, self._where = at, where

    def _fail_in(self, where: str) -> None:
        if self._left <= 0 and where == self._where:
            raise WorkFailed("the rule grew too large")

    def allowed(self) -> None:
        self._fail_in("allowed")

    def forced(self) -> list[int]:
        self._fail_in("forced")
        return []

    def accept(self, token: int) -> None:
        self._left -= 1
        self._fail_in("accept")

    def limit(self, remaining: int) -> None:
        pass


@dataclass(frozen=True)
class _FailsForOne:
    """Starts a rule that fails in the texts of one prompt."""

    prompt: str
    where: str
    at: int = 3

    def start(self, prompt_ids: tuple[int, ...], prompt: str) -> _Failing:
        return _Failing(self.at if prompt == self.prompt else 10**9, self.where)


@pytest.mark.parametrize("where", ["allowed", "forced", "accept"])
def test_a_rule_that_fails_ends_its_own_text_alone(endless: LanguageModel, where: str) -> None:
    prompts = ["The cat", "Once upon", "The dog"]
    ids = [endless.prompt_ids(one) for one in prompts]
    settings = Sampling(max_tokens=12, seed=4)
    rule = _FailsForOne("Once upon", where)
    free = [one[0] for one in endless.complete(ids, settings)]
    found = [one[0] for one in endless.complete(ids, settings, constraint=rule)]
    assert [one.finish for one in found] == ["length", "failed", "length"]
    assert found[0] == free[0] and found[2] == free[2]
    assert found[1].failure == "the rule grew too large"
    assert len(found[1].ids) == 3 and found[1].ids == free[1].ids[:3]
    with pytest.raises(WorkFailed, match="grew too large"):
        endless.generate(prompts, constraint=rule, max_tokens=12, seed=4)
    with pytest.raises(WorkFailed, match="grew too large"):
        list(endless.generate(prompts[1], constraint=rule, max_tokens=12, seed=4, stream=True))


def test_a_rule_that_fails_at_once_leaves_the_others(endless: LanguageModel) -> None:
    prompts = [endless.prompt_ids(one) for one in ("The cat", "Once upon")]
    for where in ("allowed", "forced"):
        found = endless.complete(
            prompts,
            Sampling(max_tokens=5, seed=4),
            n=2,
            best_of=3,
            constraint=_FailsForOne("Once upon", where, at=0),
        )
        assert {one.finish for one in found[0]} == {"length"}
        assert {(one.finish, one.ids) for one in found[1]} == {("failed", ())}
