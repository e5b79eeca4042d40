"""`/v1/chat/completions` by the official clients: streaming, tools, forms, log-probabilities."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pydantic
import pytest
from conftest import Running, running

from lilliput.generate import LanguageModel, Sampling
from lilliput.generate.chat_template import chat_template_of
from lilliput.serve.tools import Call, ReplyReader, calls_of

TALK: list[Any] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "The cat"}]},
]
PARAMETERS = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 8},
        "unit": {"enum": ["celsius", "kelvin"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
    },
    "required": ["city", "unit", "days"],
    "additionalProperties": False,
}
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}},
    {"type": "function", "function": {"name": "no_arguments"}},
]


class Person(pydantic.BaseModel):
    """What a reply is held to."""

    model_config = pydantic.ConfigDict(extra="forbid")

    age: int
    likes_cats: bool


def test_a_reply_is_what_the_model_writes_after_its_template(
    client: openai.OpenAI, model: LanguageModel, endless: LanguageModel
) -> None:
    answer = client.chat.completions.create(
        model="endless", messages=TALK, max_completion_tokens=12, seed=3, n=2
    )
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "The cat"}]
    template = chat_template_of(model)
    [expected] = endless.complete(
        [template.ids(talk)], Sampling(temperature=1.0, seed=3, max_tokens=12), n=2
    )
    for choice, one in zip(answer.choices, expected, strict=True):
        if template.end_tokens & set(one.ids):  # it ends its turn before the text ends
            assert one.text.startswith(choice.message.content or "")
            assert choice.finish_reason == "stop"
        else:
            assert choice.message.content == one.text
            assert choice.finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == len(template.ids(talk))


def test_the_end_of_a_turn_ends_the_reply(client: openai.OpenAI, model: LanguageModel) -> None:
    end = model.tokenizer.special_tokens["<|end|>"]
    answer = client.chat.completions.create(
        model="endless",
        messages=TALK,
        logit_bias={str(end): 100},
        temperature=0,
        logprobs=True,
    )
    [choice] = answer.choices
    assert (choice.message.content, choice.finish_reason) == ("", "stop")
    assert choice.logprobs is not None and choice.logprobs.content == []
    assert answer.usage is not None and answer.usage.completion_tokens == 1


def test_a_stream_is_the_reply_in_pieces(client: openai.OpenAI) -> None:
    question: dict[str, Any] = {
        "model": "endless",
        "messages": TALK,
        "max_tokens": 30,
        "seed": 4,
        "n": 3,
        "logprobs": True,
        "top_logprobs": 2,
    }
    whole = client.chat.completions.create(**question)
    texts, finishes, roles = [""] * 3, [None] * 3, [None] * 3
    tokens: list[list[Any]] = [[], [], []]
    usages = []
    for chunk in client.chat.completions.create(
        **question, stream=True, stream_options={"include_usage": True}
    ):
        usages.append(chunk.usage)
        for choice in chunk.choices:
            roles[choice.index] = roles[choice.index] or choice.delta.role
            texts[choice.index] += choice.delta.content or ""
            finishes[choice.index] = choice.finish_reason
            tokens[choice.index] += (choice.logprobs and choice.logprobs.content) or []
    assert texts == [one.message.content for one in whole.choices]
    assert finishes == [one.finish_reason for one in whole.choices]
    assert tokens == [one.logprobs.content for one in whole.choices]
    assert roles == ["assistant"] * 3
    assert usages[:-1] == [None] * (len(usages) - 1)
    assert usages[-1] == whole.usage
    for token in tokens[0]:
        assert len(token.top_logprobs) == 2
        if token.bytes is not None and not token.token.startswith("bytes:"):
            assert bytes(token.bytes).decode() == token.token


def test_the_clients_own_stream_helper_reads_our_streams(client: openai.OpenAI) -> None:
    rule = {"structured_outputs": {"choice": ["The cat sat.", "The dog saw it."]}}
    question: dict[str, Any] = {"model": "tiny", "messages": TALK, "seed": 1, "extra_body": rule}
    with client.chat.completions.stream(**question) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    whole = client.chat.completions.create(**question)
    assert final.choices[0].message.content == whole.choices[0].message.content


@pytest.mark.parametrize("seed", range(5))
def test_a_schema_holds_whatever_the_model_is(client: openai.OpenAI, seed: int) -> None:
    answer = client.chat.completions.parse(
        model="tiny", messages=TALK, response_format=Person, seed=seed, max_tokens=100
    )
    assert isinstance(answer.choices[0].message.parsed, Person)
    assert answer.choices[0].finish_reason == "stop"


def test_any_object_and_other_rules(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="endless", messages=TALK, response_format={"type": "json_object"}, max_tokens=60
    )
    assert isinstance(json.loads(answer.choices[0].message.content or ""), dict)
    for rule, allowed in (
        ({"choice": ["yes", "no"]}, {"yes", "no"}),
        ({"regex": "a{3}"}, {"aaa"}),
        ({"grammar": 'start: "b" "c"'}, {"bc"}),
        ({"json": {"const": 7}}, {"7"}),
    ):
        chat = client.chat.completions.create(
            model="tiny", messages=TALK, extra_body={"structured_outputs": rule}
        )
        text = client.completions.create(
            model="tiny", prompt="The", extra_body={"structured_outputs": rule}
        )
        assert chat.choices[0].message.content in allowed
        assert text.choices[0].text in allowed


@pytest.mark.parametrize(
    "form",
    [
        {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nothing"}}},
        {"type": "json_schema", "json_schema": {"name": "x", "schema": {"unheardOf": 1}}},
        {"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}},
        {"type": "json_schema"},
        {"type": "yaml"},
    ],
)
def test_a_form_that_cannot_be_kept_is_refused(client: openai.OpenAI, form: Any) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="tiny", messages=TALK, response_format=form)


def _arguments(call: Any) -> Any:
    found = json.loads(call.function.arguments)
    assert call.type == "function"
    assert call.id
    return found


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["weather", "no_arguments"])
def test_a_named_tool_is_called_by_its_schema(
    client: openai.OpenAI, name: str, stream: bool
) -> None:
    question: dict[str, Any] = {
        "model": "tiny",
        "messages": TALK,
        "tools": TOOLS,
        "tool_choice": {"type": "function", "function": {"name": name}},
        "max_tokens": 100,
        "seed": 2,
    }
    if stream:
        with client.chat.completions.stream(**question) as events:
            message = events.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(**question).choices[0].message
    [call] = message.tool_calls or []
    assert call.type == "function" and call.function.name == name
    arguments = _arguments(call)
    if name == "weather":
        assert set(arguments) == {"city", "unit", "days"} and 1 <= arguments["days"] <= 7
    assert not message.content


@pytest.mark.parametrize("stream", [False, True])
def test_some_tool_must_be_called(client: openai.OpenAI, stream: bool) -> None:
    names = set()
    for seed in range(4):
        question: dict[str, Any] = {
            "model": "tiny",
            "messages": TALK,
            "tools": TOOLS,
            "tool_choice": "required",
            "max_tokens": 120,
            "seed": seed,
        }
        if stream:
            with client.chat.completions.stream(**question) as events:
                [choice] = events.get_final_completion().choices
        else:
            [choice] = client.chat.completions.create(**question).choices
        [call] = choice.message.tool_calls or []
        assert choice.finish_reason == "tool_calls"
        names.add(call.function.name)
        _arguments(call)
    assert names <= {"weather", "no_arguments"}


def test_a_conversation_with_calls_and_results_goes_on(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(
        model="tiny", messages=TALK, tools=TOOLS, tool_choice="required", max_tokens=120, seed=1
    )
    said = first.choices[0].message
    [call] = said.tool_calls or []
    talk = [*TALK, said, {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}]
    for choice in ("none", "auto"):
        answer = client.chat.completions.create(
            model="tiny", messages=talk, tools=TOOLS, tool_choice=choice, max_tokens=20, seed=1
        )
        assert answer.choices[0].message.content is not None
        assert answer.choices[0].message.tool_calls is None


NAMES = frozenset({"f", "g"})
CALL = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'


@pytest.mark.parametrize(
    ("reply", "said", "calls"),
    [
        ("Hello <there>.", "Hello <there>.", []),
        (CALL, "", [("f", {"a": 1})]),
        (f"Let me see. {CALL}{CALL}", "Let me see. ", [("f", {"a": 1})] * 2),
        (f"{CALL}\nand more", "\nand more", [("f", {"a": 1})]),
        (CALL.removesuffix("</tool_call>"), "", [("f", {"a": 1})]),
        ('<tool_call>{"name": "h"}</tool_call> x', '<tool_call>{"name": "h"}</tool_call> x', []),
        ("<tool_call>{broken", "<tool_call>{broken", []),
        ("x <tool_ca", "x <tool_ca", []),
        ('{"name": "g", "parameters": {}}', "", [("g", {})]),
        ('[{"name": "f", "arguments": {}}, {"name": "g"}]', "", [("f", {}), ("g", {})]),
        ('{"name": "h"}', '{"name": "h"}', []),
        ("[1, 2]", "[1, 2]", []),
        ("  ", "  ", []),
        ("[" * 5000, "[" * 5000, []),
        ("", "", []),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_calls_are_found_however_the_reply_is_cut(
    reply: str, said: str, calls: list[Any], size: int
) -> None:
    reader = ReplyReader(NAMES)
    pieces = [reply[start : start + size] for start in range(0, len(reply), size)]
    words, found = "", list[Call]()
    for number, piece in enumerate([*pieces, ""]):
        text, more = reader.read(piece, number == len(pieces))
        words, found = words + text, found + more
    assert (words, [(one.name, json.loads(one.arguments)) for one in found]) == (said, calls)


def test_without_tools_nothing_is_a_call() -> None:
    assert ReplyReader(frozenset()).read(CALL, True) == (CALL, [])
    assert ReplyReader(frozenset(), trim=True).read("  Hi ", True) == ("Hi ", [])
    assert calls_of('{"name": "f"}', frozenset()) == []


@pytest.fixture(scope="module")
def scripted(endless: LanguageModel) -> Iterator[Running]:
    """A model that always writes the same call, whatever it is asked."""
    from lilliput.tokens import Tokenizer

    ids = endless.tokenizer.encode(CALL)
    written = LanguageModel(endless.decoder, endless.tokenizer, end_tokens=())
    assert isinstance(written.tokenizer, Tokenizer)
    with running({"scripted": written}) as server:
        from lilliput.generate.requests import Event, Written

        thread = server.served("scripted")._thread
        engine = thread._engine
        steps: dict[int, int] = {}

        def step() -> list[Event]:
            real = type(engine).step(engine)
            events = []
            for event in real:
                place = steps.get(event.ticket, 0)
                steps[event.ticket] = place + 1
                if place == len(ids) - 1:
                    engine.cancel(event.ticket)
                    events.append(Event(event.ticket, [Written(ids[place])], "end"))
                else:
                    events.append(Event(event.ticket, [Written(ids[place])], None))
            return events

        engine.step = step  # type: ignore[method-assign]
        yield server


@pytest.mark.parametrize("parallel", [True, False])
def test_a_model_that_wants_to_call_does(scripted: Running, parallel: bool) -> None:
    client = scripted.client()
    question: dict[str, Any] = {
        "model": "scripted",
        "messages": TALK,
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "max_tokens": 200,
        "parallel_tool_calls": parallel,
    }
    [choice] = client.chat.completions.create(**question).choices
    with client.chat.completions.stream(**question) as events:
        [streamed] = events.get_final_completion().choices
    for one in (choice, streamed):
        assert one.finish_reason == "tool_calls"
        [call] = one.message.tool_calls or []
        assert (call.function.name, _arguments(call)) == ("f", {"a": 1})
        assert not one.message.content
    del question["tools"], question["parallel_tool_calls"]
    assert client.chat.completions.create(**question).choices[0].message.content == CALL


def test_langchain_talks_with_it(server: Running) -> None:
    langchain = pytest.importorskip("langchain_openai")
    model = langchain.ChatOpenAI(
        model="tiny", base_url=f"{server.url}/v1", api_key="none", max_tokens=60, seed=1
    )
    assert model.invoke("The cat").content
    assert "".join(chunk.content for chunk in model.stream("The cat"))
    assert isinstance(model.with_structured_output(Person).invoke("Who?"), Person)
    bound = model.bind_tools([Person], tool_choice="Person").invoke("Who?")
    assert bound.tool_calls[0]["name"] == "Person"
    vectors = langchain.OpenAIEmbeddings(
        model="tiny",
        base_url=f"{server.url}/v1",
        api_key="none",
        check_embedding_ctx_length=False,
    ).embed_documents(["The cat", "A dog"])
    assert len(vectors) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "text"),
        ({"messages": [{"role": "user", "content": "x " * 1100}]}, "context"),
        ({"tool_choice": "required"}, "needs tools"),
        ({"tools": TOOLS, "tool_choice": TOOLS[0] | {"function": {"name": "x"}}}, "tool_choice"),
        ({"tools": [TOOLS[0], TOOLS[0]]}, "same name"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "pattern"),
        ({"top_logprobs": 2}, "logprobs"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1 << 30}, "max_completion_tokens"),
        ({"functions": []}, "Unrecognized request argument supplied: functions"),
        ({"n": 17}, "n: at most 16"),
    ],
)
def test_what_makes_no_sense_is_refused(
    server: Running, change: dict[str, Any], words: str
) -> None:
    body = {"model": "tiny", "messages": TALK, **change}
    with pytest.raises(openai.BadRequestError, match=words):
        server.client().post("/chat/completions", body=body, cast_to=object)
