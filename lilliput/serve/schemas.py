"""The bodies of requests: OpenAI's fields, then ours. What is not listed here is refused.

Fields that a model of this kind has no use for (`user`, `metadata`, `store`, …) are accepted and
have no effect; each is named in docs/serve.md.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lilliput.generate.sampling import Sampling

TokenIds = list[Annotated[int, Field(ge=0, lt=1 << 32)]]
MOST_STOP_STRINGS = 16
MOST_ALTERNATIVES = 20
_SMALLEST_TOP_P = 1e-9  # OpenAI allows 0, which keeps the likeliest token alone


class Body(BaseModel):
    """A request's body: strict types, no unknown field."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class StreamOptions(Body):
    """What a stream tells besides the text."""

    include_usage: bool = False
    include_obfuscation: bool | None = None


class SamplingFields(Body):
    """How tokens are chosen and when an answer ends."""

    model: str
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    stop: str | Annotated[list[str], Field(max_length=MOST_STOP_STRINGS)] | None = None
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 64)] | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    # Ours, as vLLM and llama.cpp name them.
    top_k: Annotated[int, Field(ge=0)] = 0
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    typical_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    repetition_penalty: Annotated[float, Field(gt=0, le=100)] = 1.0

    @model_validator(mode="after")
    def _options_belong_to_streams(self) -> "SamplingFields":
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options needs stream: true")
        return self

    def sampling(self, max_tokens: int) -> Sampling:
        """The same for the engine. Raises UserError where a number makes no sense."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        top_p = 1.0 if self.top_p is None else max(self.top_p, _SMALLEST_TOP_P)
        return Sampling(
            temperature=1.0 if self.temperature is None else self.temperature,
            top_k=self.top_k,
            top_p=top_p,
            min_p=self.min_p,
            typical_p=self.typical_p,
            repetition_penalty=self.repetition_penalty,
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            logit_bias={int(token): bias for token, bias in (self.logit_bias or {}).items()},
            max_tokens=max_tokens,
            stop=tuple(text for text in stop if text),
        )

    @property
    def biased_tokens(self) -> list[int]:
        """The ids that `logit_bias` names."""
        return [int(token) for token in self.logit_bias or {}]

    @model_validator(mode="after")
    def _biases_are_of_tokens(self) -> "SamplingFields":
        for token in self.logit_bias or {}:
            if not (token.isascii() and token.isdigit() and len(token) < 10):
                raise ValueError(f"logit_bias: {token[:20]!r} is no token id")
        return self


class StructuredOutputs(Body):
    """What an answer may say, in exactly one of these ways."""

    json_schema: dict[str, Any] | bool | None = Field(default=None, alias="json")
    regex: str | None = None
    choice: list[str] | None = None
    grammar: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "StructuredOutputs":
        if len(self.model_fields_set) != 1:
            raise ValueError("give exactly one of json, regex, choice and grammar")
        return self


class CompletionBody(SamplingFields):
    """`POST /v1/completions`."""

    prompt: str | TokenIds | list[str] | list[TokenIds] = "<|endoftext|>"
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    best_of: Annotated[int, Field(ge=1)] | None = None
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=MOST_ALTERNATIVES)] | None = None
    suffix: str | None = None
    # Ours, as vLLM names them.
    add_special_tokens: bool = True
    structured_outputs: StructuredOutputs | None = None


class ContentPart(BaseModel):
    """A part of a message's content: text is the only kind these models read."""

    model_config = ConfigDict(strict=True)

    type: Literal["text"]
    text: str


class FunctionCalled(BaseModel):
    """Which function, with which arguments (JSON)."""

    model_config = ConfigDict(strict=True)

    name: str
    arguments: str


class ToolCalled(BaseModel):
    """A call that the assistant made earlier in the conversation."""

    model_config = ConfigDict(strict=True)

    id: str = ""
    type: Literal["function"] = "function"
    function: FunctionCalled


class MessageBody(BaseModel):
    """A message; what clients send back with one and is no part of the text is ignored."""

    model_config = ConfigDict(strict=True)

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[ContentPart] | None = None
    name: str | None = None
    tool_calls: list[ToolCalled] | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """The content as one text."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class FunctionOffered(Body):
    """A function the model may call; `parameters` is a JSON schema of its arguments."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolOffered(Body):
    """A tool the model may use."""

    type: Literal["function"]
    function: FunctionOffered


class NamedFunction(Body):
    """The function that must be called."""

    name: str


class NamedTool(Body):
    """The tool that must be used."""

    type: Literal["function"]
    function: NamedFunction


class NamedSchema(Body):
    """A JSON schema with its name."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class ResponseFormat(Body):
    """What form the reply takes."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None

    @model_validator(mode="after")
    def _schema_where_it_belongs(self) -> "ResponseFormat":
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError('json_schema goes with type "json_schema"')
        return self


class ChatBody(SamplingFields):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[MessageBody], Field(min_length=1, max_length=4096)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MOST_ALTERNATIVES)] | None = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[ToolOffered], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    structured_outputs: StructuredOutputs | None = None
    # Accepted without effect.
    metadata: dict[str, str] | None = None
    modalities: list[Literal["text"]] | None = None
    prediction: dict[str, Any] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: str | None = None
    reasoning_effort: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    verbosity: str | None = None

    @model_validator(mode="after")
    def _fields_agree(self) -> "ChatBody":
        names = {tool.function.name for tool in self.tools or []}
        if len(names) < len(self.tools or []):
            raise ValueError("tools: two have the same name")
        if isinstance(self.tool_choice, NamedTool):
            if self.tool_choice.function.name not in names:
                raise ValueError("tool_choice: names a function that tools does not list")
        elif self.tool_choice == "required" and not names:
            raise ValueError('tool_choice: "required" needs tools')
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs: true")
        constrained = self.response_format is not None and self.response_format.type != "text"
        forced = isinstance(self.tool_choice, NamedTool) or self.tool_choice == "required"
        if constrained + forced + (self.structured_outputs is not None) > 1:
            raise ValueError(
                "give one of response_format, structured_outputs and a forced tool_choice"
            )
        return self


class EmbeddingBody(Body):
    """`POST /v1/embeddings`."""

    model: str
    input: str | TokenIds | list[str] | list[TokenIds]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: str | None = None


class TokenizeBody(Body):
    """`POST /tokenize`, in vLLM's shape; `model` may be left out where one is served."""

    prompt: str
    model: str | None = None
    add_special_tokens: bool = True
    """Whether the ids begin with those the model reads before every prompt."""
    special: bool = True
    """Whether a special token spelled out in the text is read as one."""


class DetokenizeBody(Body):
    """`POST /detokenize`, in vLLM's shape."""

    tokens: TokenIds
    model: str | None = None
