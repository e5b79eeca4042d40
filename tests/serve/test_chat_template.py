"""Conversations as prompts; the oracle for imported templates is transformers."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.generate import LanguageModel
from lilliput.generate.chat_template import (
    FILE_NAME,
    WRITTEN_STOP,
    WRITTEN_TEMPLATE,
    ChatTemplate,
    chat_template_of,
)
from lilliput.tokens import Tokenizer
from lilliput.tokens.special import SPECIAL_TOKENS

TALK: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "The cat sat — naïve 😀?"},
    {"role": "assistant", "content": "It did."},
    {"role": "user", "content": "On the mat"},
]
TOOL = {
    "type": "function",
    "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}},
}
CHATML = (
    "{%- if tools %}<|system|>{{ tools | tojson }}<|end|>\n{%- endif %}"
    "{%- for message in messages %}"
    "{%- if message.role == 'system' and not loop.first %}{{ raise_exception('late') }}{% endif %}"
    "{{ '<|' + message.role + '|>' + message.content | trim + '<|end|>\n' }}"
    "{%- if loop.index > 50 %}{% break %}{% endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}<|assistant|>{% generation %}{% endgeneration %}{%- endif %}"
)


def test_a_tokenizer_with_our_tokens_marks_turns_with_them(model: LanguageModel) -> None:
    template = chat_template_of(model)
    ids = template.ids(TALK)
    assert model.tokenizer.decode(ids, special=True) == (
        "<|endoftext|><|system|>Be brief.<|end|><|user|>The cat sat — naïve 😀?<|end|>"
        "<|assistant|>It did.<|end|><|user|>On the mat<|end|><|assistant|>"
    )
    assert template.end_tokens == {model.tokenizer.special_tokens["<|end|>"]}
    assert template.stop == ()


def test_other_tokenizers_are_told_in_words(tokenizer: Tokenizer) -> None:
    template = ChatTemplate(WRITTEN_TEMPLATE, tokenizer, stop=WRITTEN_STOP)
    assert template.text(TALK) == (
        "System: Be brief.\n\nUser: The cat sat — naïve 😀?\n\nAssistant: It did.\n\n"
        "User: On the mat\n\nAssistant:"
    )
    assert template.end_tokens == frozenset()


def test_tools_their_calls_and_results_are_shown(model: LanguageModel) -> None:
    call = {"id": "1", "function": {"name": "look_up", "arguments": {"word": "cat"}}}
    talk = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "an animal"},
    ]
    text = chat_template_of(model).text(talk, tools=[TOOL])
    assert '<tools>\n{"type": "function", "function": {"name": "look_up"' in text
    assert '<tool_call>\n{"name": "look_up", "arguments": {"word": "cat"}}\n</tool_call>' in text
    assert "<|user|><tool_response>\nan animal\n</tool_response><|end|><|assistant|>" in text


def test_an_imported_template_gives_what_transformers_gives(
    folder: Path, tokenizer: Tokenizer
) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder)
    theirs.chat_template = CHATML
    ours = ChatTemplate(CHATML, tokenizer)
    for messages, tools in ((TALK, None), (TALK[1:3], [TOOL])):
        expected = theirs.apply_chat_template(
            messages, tools=tools, add_generation_prompt=True, tokenize=False
        )
        assert ours.text(messages, tools=tools or ()) == expected
        ids = theirs(expected, add_special_tokens=False)["input_ids"]
        assert list(ours.ids(messages, tools=tools or ())) == ids
    with pytest.raises(UserError, match="late"):
        ours.text([TALK[1], TALK[0]])


@given(
    st.lists(st.sampled_from((*SPECIAL_TOKENS, "<|", "|>", "hi ", "\ue000", "<|us")), max_size=6)
)
def test_what_a_person_says_is_never_a_special_token(
    model: LanguageModel, pieces: list[str]
) -> None:
    said = "".join(pieces)
    for template in (chat_template_of(model), ChatTemplate(CHATML, model.tokenizer)):
        special = set(model.tokenizer.special_tokens.values())
        plain = template.ids([{"role": "user", "content": "x"}])
        ids = template.ids([{"role": "user", "content": said}])
        assert [one for one in ids if one in special] == [one for one in plain if one in special]
        told = said.strip() if template.source == CHATML else said
        assert told in model.tokenizer.decode(ids, special=True)


def test_a_folder_brings_its_own_template(
    tmp_path: Path, model: LanguageModel, tokenizer: Tokenizer
) -> None:
    own = LanguageModel(model.decoder, tokenizer, tmp_path)
    (tmp_path / FILE_NAME).write_text("{{ bos_token }}{{ messages[0].content }}!", encoding="utf-8")
    assert chat_template_of(own).text(TALK) == "<|endoftext|>Be brief.!"
    stated = Tokenizer(tokenizer.definition, {**tokenizer.config, "chat_template": "stated"})
    assert chat_template_of(LanguageModel(model.decoder, stated)).text(TALK) == "stated"
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "named"}]
    several = Tokenizer(tokenizer.definition, {**tokenizer.config, "chat_template": named})
    assert chat_template_of(LanguageModel(model.decoder, several)).text(TALK) == "named"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% for %}", "not one"),
        ("{{ messages.__class__.__mro__ }}", "refuses"),
        ("{{ ''.__class__.__base__.__subclasses__() }}", "refuses"),
        ("{{ messages.append(1) }}", "refuses"),
        ("{{ messages[0].content.nothing.more }}", "refuses"),
        ("{% for i in range(999999999) %}x{% endfor %}", "refuses"),
    ],
)
def test_a_template_that_cannot_be_used(tokenizer: Tokenizer, source: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ChatTemplate(source, tokenizer).text(TALK)
