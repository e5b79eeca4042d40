"""The bodies of answers, in OpenAI's shapes."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12


class Usage(TypedDict):
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CompletionLogprobs(TypedDict):
    """One entry a token; log-probabilities in nats, null where nothing stands before."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]


class CompletionChoice(TypedDict):
    """One of the texts that continue a prompt, or a piece of it in a stream."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: Literal["stop", "length"] | None


class CompletionAnswer(TypedDict):
    """`POST /v1/completions`, and every chunk of its stream."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: NotRequired[Usage | None]


class FunctionCall(TypedDict):
    """A function's name and its arguments, a JSON object in a string."""

    name: NotRequired[str]
    arguments: str


class ToolCall(TypedDict):
    """A call of a tool, or in a stream a piece of it (then with `index`)."""

    index: NotRequired[int]
    id: NotRequired[str]
    type: NotRequired[Literal["function"]]
    function: FunctionCall


class ReplyMessage(TypedDict):
    """What the assistant says."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    tool_calls: NotRequired[list[ToolCall]]


class Delta(TypedDict):
    """What a chunk adds to the reply."""

    role: NotRequired[Literal["assistant"]]
    content: NotRequired[str | None]
    refusal: NotRequired[None]
    tool_calls: NotRequired[list[ToolCall]]


class TopLogprob(TypedDict):
    """A token that could have come, with its log-probability in nats."""

    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(TopLogprob):
    """A token that came."""

    top_logprobs: list[TopLogprob]


class ChatLogprobs(TypedDict):
    """Of the content's tokens."""

    content: list[TokenLogprob] | None
    refusal: None


ChatFinish = Literal["stop", "length", "tool_calls"]


class ChatChoice(TypedDict):
    """One of the replies."""

    index: int
    message: ReplyMessage
    logprobs: ChatLogprobs | None
    finish_reason: ChatFinish


class ChatAnswer(TypedDict):
    """`POST /v1/chat/completions`."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class ChunkChoice(TypedDict):
    """What a chunk adds to one of the replies."""

    index: int
    delta: Delta
    logprobs: ChatLogprobs | None
    finish_reason: ChatFinish | None


class ChatChunk(TypedDict):
    """A chunk of a streamed reply; with usage wanted, the last has it and no choices."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: NotRequired[Usage | None]


class Embedding(TypedDict):
    """A text's vector: numbers, or their little-endian float32 bytes in base64."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(TypedDict):
    """Tokens read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(TypedDict):
    """`POST /v1/embeddings`."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


class ModelCard(TypedDict):
    """A model on offer."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    max_model_len: int
    """The context length, in tokens (as vLLM names it)."""
    parameters: int


class ModelList(TypedDict):
    """`GET /v1/models`."""

    object: Literal["list"]
    data: list[ModelCard]


class TokenizeAnswer(TypedDict):
    """`POST /tokenize`."""

    tokens: list[int]
    token_strs: list[str]
    count: int
    max_model_len: int


class DetokenizeAnswer(TypedDict):
    """`POST /detokenize`."""

    prompt: str


class TokenizerInfo(TypedDict):
    """`GET /tokenizer_info`."""

    bos_token: str | None
    eos_token: str | None
    pad_token: str | None
    chat_template: str
    vocab_size: int


class ErrorFacts(TypedDict):
    """What was wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(TypedDict):
    """The body of every answer that is no success."""

    error: ErrorFacts
