"""Rules over token masks: what an untrained model writes satisfies them, within any budget."""

import json
import re

import pytest
from constraint_writing import TEXTS, write
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.generate.constraints.rules import choices, grammar, json_object, json_schema, regex
from lilliput.tokens import Tokenizer, train_tokenizer


@pytest.fixture(scope="session")
def tokenizers() -> dict[str, Tokenizer]:
    return {
        "bpe": train_tokenizer(TEXTS, vocabulary_size=360),
        "byte": train_tokenizer(TEXTS, kind="byte"),
        "character": train_tokenizer(TEXTS, kind="character"),
        "word": train_tokenizer(TEXTS, kind="word"),
    }


@pytest.fixture(scope="session")
def bpe(tokenizers: dict[str, Tokenizer]) -> Tokenizer:
    return tokenizers["bpe"]


@pytest.mark.parametrize("kind", ["bpe", "byte", "character", "word"])
def test_every_kind_of_tokenizer_writes_what_the_rule_says(
    tokenizers: dict[str, Tokenizer], kind: str
) -> None:
    tokenizer = tokenizers[kind]
    rule = regex(r"(cat|dog)( sat on the (mat|dog)){0,3}", tokenizer)
    for seed in range(20):
        ids, _ = write(rule, tokenizer, 12 if kind == "word" else 60, seed)
        text = tokenizer.decode(ids)
        assert re.fullmatch(r"(cat|dog)( sat on the (mat|dog)){0,3}", text), text


def test_a_vocabulary_without_the_letters_is_refused(tokenizers: dict[str, Tokenizer]) -> None:
    with pytest.raises(UserError, match="no text satisfies it that this tokenizer can write"):
        regex("zebra%", tokenizers["character"])


def test_a_branch_that_the_vocabulary_cannot_finish_is_never_entered(
    tokenizers: dict[str, Tokenizer],
) -> None:
    tokenizer = tokenizers["character"]
    rule = choices(["cat", "cax%"], tokenizer)
    assert {tokenizer.decode(write(rule, tokenizer, 10, seed)[0]) for seed in range(10)} == {"cat"}


PATTERNS = [
    "[0-9]{3}-[a-z]+",
    "(a|b{20})c",
    "(?:ab){2,9}|x{30}",
    "[^a]*END",
    "a+(/b)?",
    "(yes|no|perhaps)( (yes|no|perhaps))*",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_regex_is_matched_as_a_whole_in_any_budget(bpe: Tokenizer, pattern: str) -> None:
    rule = regex(pattern, bpe)
    for seed in range(15):
        ids, _ = write(rule, bpe, 24 + 3 * seed, seed)
        assert re.fullmatch(pattern, bpe.decode(ids), re.DOTALL)


def test_all_of_a_small_language_is_reached(bpe: Tokenizer) -> None:
    listed = ["yes", "no", 'may"be', "two\nlines", "über"]
    rule = choices(listed, bpe)
    assert {bpe.decode(write(rule, bpe, 20, seed)[0]) for seed in range(60)} == set(listed)


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_any_choices_can_be_written(bpe: Tokenizer, listed: list[str]) -> None:
    try:
        rule = choices(listed, bpe)
    except UserError:
        assert any(0xD800 <= ord(letter) < 0xE000 for text in listed for letter in text)
        return
    assert bpe.decode(write(rule, bpe, 80)[0]) in listed


def test_forced_tokens_are_not_drawn(bpe: Tokenizer) -> None:
    schema = {
        "type": "object",
        "properties": {"a_rather_long_name": {"enum": [1, 2]}},
        "required": ["a_rather_long_name"],
    }
    ids, drawn = write(json_schema(schema, bpe), bpe, 60)
    assert json.loads(bpe.decode(ids))["a_rather_long_name"] in (1, 2)
    assert drawn <= 2 < len(ids)


def test_a_budget_below_the_shortest_text_is_refused_with_the_numbers(bpe: Tokenizer) -> None:
    rule = regex("x{30}", bpe)
    with pytest.raises(UserError, match="takes 30 tokens and only 29 may be written"):
        rule.start((), "").limit(29)
    assert bpe.decode(write(rule, bpe, 30)[0]) == "x" * 30


def test_what_ends_early_may_also_go_on(bpe: Tokenizer) -> None:
    rule = regex("a+", bpe)
    lengths = {len(write(rule, bpe, 9, seed)[0]) for seed in range(40)}
    assert min(lengths) < 4 and max(lengths) == 9  # the end token counts


GBNF = r"""
root   ::= object
value  ::= object | array | string | number | "true" | "null"
object ::= "{" ( string ":" value ("," string ":" value)* )? "}" # no blanks
array  ::= "[" ( value ("," value)* )? "]"
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "\u0075" [0-9a-fA-F]{4}) )* "\""
number ::= "-"? ("0" | [1-9] [0-9]{0,15}) ("." [0-9]+)? ([eE] [-+]? [0-9]{1,2})?
"""
LARK = 'start: expr\nexpr: term (("+" | "*") term)*\nterm: /[1-9][0-9]*/ | "(" expr ")"\n'


def test_gbnf_and_lark_grammars_close_in_any_budget(bpe: Tokenizer) -> None:
    as_json, as_sum = grammar(GBNF, bpe), grammar(LARK, bpe)
    for seed in range(30):
        assert isinstance(json.loads(bpe.decode(write(as_json, bpe, 5 + seed, seed)[0])), dict)
        assert eval(bpe.decode(write(as_sum, bpe, 3 + seed, seed)[0])) > 0


@pytest.mark.parametrize(
    ("make", "text", "message"),
    [
        (regex, "(", "unclosed group"),
        (regex, "(?=a)b", "look-around"),
        (grammar, "root ::= nowhere", "nowhere"),
        (grammar, 'start: "a" x\nx: "b" x', "no text satisfies"),
        (grammar, "nonsense", "grammar"),
        (choices, [], "at least one"),
        (choices, ["a", ""], "empty"),
    ],
)
def test_a_wrong_rule_is_the_users_mistake(
    bpe: Tokenizer, make: object, text: object, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        make(text, bpe)  # type: ignore[operator]


@pytest.mark.parametrize("spaced", [False, True])
def test_json_objects_have_no_white_space_or_one_blank(bpe: Tokenizer, spaced: bool) -> None:
    rule = json_object(bpe, spaced=spaced)
    for seed in range(30):
        text = bpe.decode(write(rule, bpe, 2 + 3 * seed, seed)[0])
        assert isinstance(json.loads(text), dict)
        outside = re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
        assert outside.count(" ") == (outside.count(",") + outside.count(":") if spaced else 0)
