"""Messages of a conversation → the ids a model reads: its own chat template, or a plain one.

A template is a Jinja text as Hugging Face models carry it (`chat_template.jinja`, or
`chat_template` in `tokenizer_config.json`), run in a sandbox. A model without one is given

    <|system|>Be brief.<|end|><|user|>Hello!<|end|><|assistant|>

if its tokenizer has our reserved tokens, and otherwise

    System: Be brief.

    User: Hello!

    Assistant:

Both describe tools in the system message and write calls and results between <tool_call> and
<tool_response> tags (the format of Hermes and Qwen models). What a message says is only text: a
special token spelled out in it is never read as that token.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lilliput.errors import UserError
from lilliput.tokens.special import ASSISTANT, END_OF_TURN, SYSTEM, USER
from lilliput.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from jinja2 import Template

    from lilliput.generate.language_model import LanguageModel

Message = Mapping[str, Any]
"""`role` and `content` (a text), and what a role has besides: `tool_calls`, `tool_call_id`, `name`.
The arguments of a tool call are an object, not its JSON."""

FILE_NAME = "chat_template.jinja"
TOOL_CALL, TOOL_CALL_END = "<tool_call>", "</tool_call>"

_TOOLS = (
    "You may call these functions:\n<tools>\n"
    "{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}</tools>\n"
    'To call one, write <tool_call>\n{"name": NAME, "arguments": OBJECT}\n</tool_call>'
)
_BODY = (
    "{% if message.role == 'tool' %}<tool_response>\n{{ message.content }}\n</tool_response>"
    "{% else %}{{ message.content or '' }}"
    "{% for call in message.tool_calls or [] %}<tool_call>\n"
    '{"name": {{ call.function.name | tojson }}, "arguments": '
    "{{ call.function.arguments | tojson }}}\n</tool_call>{% endfor %}{% endif %}"
)


def _plain_template(system: str, user: str, assistant: str, end: str) -> str:
    """The plain template with these marks before each kind of turn, and after every turn."""
    return (
        f"{{% if tools %}}{system}{_TOOLS}{end}{{% endif %}}"
        "{% for message in messages %}"
        "{% if message.role in ['system', 'developer'] %}" + system + "{% elif message.role == "
        "'assistant' %}" + assistant + "{% else %}" + user + "{% endif %}"
        f"{_BODY}{end}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{assistant.rstrip()}{{% endif %}}"
    )


MARKED_TEMPLATE = _plain_template(SYSTEM, USER, ASSISTANT, END_OF_TURN)
WRITTEN_TEMPLATE = _plain_template("System: ", "User: ", "Assistant: ", "{{ '\n\n' }}")
WRITTEN_STOP = ("\nUser:", "\nSystem:")


class ChatTemplate:
    """How a conversation is put to one model.

    `beginning` is put before what the template gives; `stop` are strings that end a reply.
    Raises UserError if `source` is no Jinja template.
    """

    def __init__(
        self,
        source: str,
        tokenizer: Tokenizer,
        *,
        beginning: Sequence[int] = (),
        stop: Sequence[str] = (),
    ) -> None:
        self.source, self.stop = source, tuple(stop)
        self._tokenizer, self._beginning = tokenizer, tuple(beginning)
        self._template = _compiled(source)
        names = sorted(map(re.escape, filter(None, tokenizer.special_tokens)), key=len)
        self._special = "|".join(reversed(names)) or r"(?!)"

    def text(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        answer: bool = True,
    ) -> str:
        """The prompt as text; with `answer`, up to where the model's next reply begins.

        Raises UserError if the template refuses the messages.
        """
        names = self._tokenizer.config
        try:
            return self._template.render(
                messages=messages,
                tools=list(tools) or None,
                add_generation_prompt=answer,
                bos_token=_content(names.get("bos_token")),
                eos_token=_content(names.get("eos_token")),
            )
        except Exception as error:  # a template is a program: it can fail in any way
            raise UserError(f"the chat template refuses these messages: {error}") from None

    def ids(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        opening: str = "",
    ) -> tuple[int, ...]:
        """The prompt as ids, ending with `opening`, which the reply goes on from."""
        mark = _unused_character(json.dumps([messages, tools], ensure_ascii=False) + self.source)
        marked = self._marked(messages, mark), self._marked(tools, mark)
        if marked == (messages, tools):
            encoded = self._tokenizer.encode(self.text(messages, tools=tools), special=True)
        else:
            encoded = self._encode_marked(self.text(marked[0], tools=marked[1]), mark)
        return (*self._beginning, *encoded, *self._tokenizer.encode(opening))

    @cached_property
    def end_tokens(self) -> frozenset[int]:
        """The special token that the template writes after a reply, if it does."""
        reply = "\u2603"
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": reply}]
        try:
            after = self.text(turns, answer=False).rpartition(reply)[2].lstrip()
        except UserError:
            return frozenset()
        found = re.match(self._special, after)
        return frozenset({self._tokenizer.special_tokens[found[0]]} if found else ())

    def _marked(self, value: Any, mark: str) -> Any:
        """The same JSON value with `mark` inside every spelled-out special token."""
        if isinstance(value, str):
            return re.sub(f"(?=({self._special}))(.)", rf"\2{mark}", value, flags=re.DOTALL)
        if isinstance(value, Mapping):
            return {key: self._marked(one, mark) for key, one in value.items()}
        if isinstance(value, Sequence):
            return type(value)(self._marked(one, mark) for one in value)  # type: ignore[call-arg]
        return value

    def _encode_marked(self, prompt: str, mark: str) -> list[int]:
        ids: list[int] = []
        for number, piece in enumerate(re.split(f"((?:{self._special})(?!{mark}))", prompt)):
            if number % 2:
                ids.append(self._tokenizer.special_tokens[piece])
            elif plain := piece.replace(mark, ""):
                ids += self._tokenizer.encode(plain)
        return ids


def chat_template_of(model: "LanguageModel") -> ChatTemplate:
    """The model's own template, or a plain one. Raises UserError if its own cannot be used."""
    tokenizer = model.tokenizer
    own = _own_source(model)
    if own is not None:
        return ChatTemplate(own, tokenizer)
    if {SYSTEM, USER, ASSISTANT, END_OF_TURN} <= set(tokenizer.special_tokens):
        return ChatTemplate(MARKED_TEMPLATE, tokenizer, beginning=model.beginning)
    return ChatTemplate(WRITTEN_TEMPLATE, tokenizer, beginning=model.beginning, stop=WRITTEN_STOP)


def has_chat_template(model: "LanguageModel") -> bool:
    """Whether the model came with a template of its own. Raises UserError if it is unreadable."""
    return _own_source(model) is not None


def _own_source(model: "LanguageModel") -> str | None:
    if model.folder is not None and (file := model.folder / FILE_NAME).is_file():
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{file}: cannot be read: {error}") from None
    stated = model.tokenizer.config.get("chat_template")
    if isinstance(stated, list):  # several, by name
        named = {one.get("name"): one.get("template") for one in stated if isinstance(one, Mapping)}
        stated = named.get("default")
    return stated if isinstance(stated, str) else None


def _compiled(source: str) -> "Template":
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}` marks the assistant's words for training: here they are only shown."""

        tags = {"generation"}  # noqa: RUF012 (jinja's own attribute)

        def parse(self, parser: Parser) -> list[nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        extensions=["jinja2.ext.loopcontrols", Generation],
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    try:
        return environment.from_string(source)
    except TemplateError as error:
        raise UserError(f"the chat template is not one: {error}") from None


def _to_json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    """JSON for a prompt: Jinja's own filter would escape it for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


def _content(token: Any) -> str:
    """A token's text as `tokenizer_config.json` names it, plainly or with its properties."""
    named = token.get("content") if isinstance(token, Mapping) else token
    return named if isinstance(named, str) else ""


def _unused_character(text: str) -> str:
    """A private-use character that does not occur in the text."""
    return next(chr(code) for code in range(0xE000, 0xF900) if chr(code) not in text)
