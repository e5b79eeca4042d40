"""Function calling: what the model is told, what it must write, and the calls in what it wrote."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lilliput.generate.chat_template import TOOL_CALL, TOOL_CALL_END, Message
from lilliput.serve.answers import ToolCall
from lilliput.serve.schemas import ChatBody, FunctionOffered, MessageBody, NamedTool


@dataclass(frozen=True)
class Forced:
    """A call that must be made: the reply begins with `opening` and goes on by `schema`."""

    opening: str
    schema: dict[str, Any]
    name: str | None
    """The function's, where there is no choice: the schema is then that of its arguments."""


@dataclass(frozen=True)
class Call:
    """A function to call, and its arguments as JSON."""

    name: str
    arguments: str

    def shown(self) -> ToolCall:
        """The call as the API shows it, under a fresh id."""
        return {
            "id": f"call_{secrets.token_hex(12)}",
            "type": "function",
            "function": {"name": self.name, "arguments": self.arguments},
        }


def template_messages(messages: Sequence[MessageBody]) -> list[Message]:
    """The messages as chat templates want them."""
    return [_template_message(one) for one in messages]


def _template_message(message: MessageBody) -> Message:
    shown: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.name is not None:
        shown["name"] = message.name
    if message.tool_call_id is not None:
        shown["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        shown["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.function.name,
                    "arguments": _arguments(call.function.arguments),
                },
            }
            for call in message.tool_calls
        ]
    return shown


def _arguments(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def offered_tools(body: ChatBody) -> list[dict[str, Any]]:
    """The tools that the model is told of: none where it may use none."""
    if body.tool_choice == "none":
        return []
    return [tool.model_dump(exclude_none=True) for tool in body.tools or []]


def forced_call(body: ChatBody) -> Forced | None:
    """What the reply must be where a tool must be used."""
    functions = {tool.function.name: tool.function for tool in body.tools or []}
    if isinstance(body.tool_choice, NamedTool):
        functions = {body.tool_choice.function.name: functions[body.tool_choice.function.name]}
    elif body.tool_choice != "required":
        return None
    if len(functions) == 1:
        [(name, function)] = functions.items()
        opening = f'{TOOL_CALL}\n{{"name": {json.dumps(name)}, "arguments": '
        return Forced(opening, _parameters(function), name)
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": name}, "arguments": _parameters(function)},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for name, function in functions.items()
    ]
    return Forced(f"{TOOL_CALL}\n", {"anyOf": calls}, None)


def _parameters(function: FunctionOffered) -> dict[str, Any]:
    return {"type": "object", **(function.parameters or {})}


def call_of(text: str, names: frozenset[str]) -> Call | None:
    """The call that a JSON object states; None if it is none, or of a function not offered."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return _call(found, names)


def _call(found: Any, names: frozenset[str]) -> Call | None:
    if not isinstance(found, dict) or found.get("name") not in names:
        return None
    arguments = found.get("arguments", found.get("parameters", {}))  # Llama 3 says parameters
    if not isinstance(arguments, dict):
        return None
    return Call(found["name"], json.dumps(arguments, ensure_ascii=False))


def calls_of(reply: str, names: frozenset[str]) -> list[Call]:
    """The calls of a whole reply that is nothing but JSON: one, or a list of some."""
    try:
        found = json.loads(reply)
    except (ValueError, RecursionError):
        return []
    calls = [_call(one, names) for one in (found if isinstance(found, list) else [found])]
    return [call for call in calls if call is not None] if all(calls) else []


class ReplyReader:
    """Divides a growing reply into what is said and what is called.

    Calls stand between <tool_call> tags, or the whole reply is one in JSON. What turns out to be no
    call after all is said.
    """

    def __init__(self, names: frozenset[str], *, trim: bool = False) -> None:
        self.names = names
        self._trim = trim
        self._waiting = ""
        self._said = False
        self.called = 0

    def read(self, text: str, last: bool) -> tuple[str, list[Call]]:
        """What is certain after `text` came: words to say, and calls; all of it if `last`."""
        if self._trim:
            text = text.lstrip()
            self._trim = not text
        if not self.names:
            return text, []
        self._waiting += text
        said, calls = "", list[Call]()
        while (found := self._next(last)) is not None:
            before, call = found
            said += before
            if call is not None:
                calls.append(call)
        self._said = self._said or bool(said.strip())
        self.called += len(calls)
        return said, calls

    def _next(self, last: bool) -> tuple[str, Call | None] | None:
        """The next thing that is certain, taken out of what waits; None if nothing is."""
        waiting = self._waiting
        if not waiting:
            return None
        if not self._said and not self.called and waiting.lstrip()[:1] in ("", "{", "["):
            return self._whole() if last else None
        start = waiting.find(TOOL_CALL)
        if start < 0:
            keep = 0 if last else _possible_start(waiting)
            return self._take(len(waiting) - keep)
        if start > 0:
            return self._take(start)
        end = waiting.find(TOOL_CALL_END)
        if end < 0 and not last:
            return None
        call = call_of(waiting[len(TOOL_CALL) : end if end >= 0 else None], self.names)
        taken, _ = self._take(end + len(TOOL_CALL_END) if end >= 0 else len(waiting)) or ("", None)
        return ("", call) if call else (taken, None)

    def _whole(self) -> tuple[str, Call | None]:
        """The reply, which looks like JSON throughout, now that it is whole."""
        calls = calls_of(self._waiting, self.names)
        if not calls:
            self._said = True
            return "", None
        self._waiting = "".join(
            f"{TOOL_CALL}{json.dumps({'name': one.name, 'arguments': json.loads(one.arguments)})}"
            f"{TOOL_CALL_END}"
            for one in calls
        )
        return "", None

    def _take(self, count: int) -> tuple[str, None] | None:
        text, self._waiting = self._waiting[:count], self._waiting[count:]
        return (text, None) if text else None


def _possible_start(text: str) -> int:
    """How many characters at the end could begin a tag."""
    return next(
        (
            length
            for length in range(min(len(text), len(TOOL_CALL) - 1), 0, -1)
            if text.endswith(TOOL_CALL[:length])
        ),
        0,
    )
