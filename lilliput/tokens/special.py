"""Special tokens: reserved at the first ids of every tokenizer made here, whatever its kind."""

END_OF_TEXT = "<|endoftext|>"
PADDING = "<|padding|>"
SYSTEM, USER, ASSISTANT, END_OF_TURN = "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"

SPECIAL_TOKENS: tuple[str, ...] = (
    END_OF_TEXT,
    PADDING,
    SYSTEM,
    USER,
    ASSISTANT,
    END_OF_TURN,
    *(f"<|reserved_{number}|>" for number in range(10)),
)
