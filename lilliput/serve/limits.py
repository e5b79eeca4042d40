"""What one client may ask for, and how much the server takes on at once."""

from dataclasses import dataclass, fields

from lilliput.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of a server; every one holds for each model or request on its own.

    Raises UserError if one is not above 0.
    """

    body_bytes: int = 4 << 20
    """Of a request's body; more is answered 413."""
    body_seconds: float = 30.0
    """For a body to arrive; later is answered 408."""
    prompts: int = 128
    """Prompts of one completion, texts of one embedding."""
    tokenized_tokens: int = 1 << 18
    """Of a text for `/tokenize`; prompts are bounded by the model's context."""
    max_tokens: int = 4096
    """Written for one answer."""
    choices: int = 16
    """`n` and `best_of` of one prompt."""
    rows: int = 256
    """Answers written at the same time by one model."""
    cache_bytes: int = 1 << 30
    """Keys and values of the answers being written; one is always served."""
    prefix_cache_bytes: int = 1 << 28
    """Keys and values kept for prompts that begin as earlier ones."""
    queue: int = 256
    """Answers that wait for a row; beyond, requests are answered 503."""
    request_seconds: float = 600.0
    """From a request's arrival to its last token; then 504."""
    drain_seconds: float = 30.0
    """For answers being written to end after SIGTERM."""
    connections: int = 1024
    """Open at once."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise UserError(f"{field.name} is {value}: it must be above 0")
