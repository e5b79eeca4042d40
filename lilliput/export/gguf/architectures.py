"""The classes of model that GGUF and transformers both know, found by either side's name.

One row an architecture, in `llama_classes`, `gpt_classes` and `mixture_classes`; what llama.cpp
would compute otherwise stands in `refusals`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lilliput.export.gguf.gpt_classes import GPT_CLASSES
from lilliput.export.gguf.llama_classes import LLAMA, LLAMA_CLASSES
from lilliput.export.gguf.mixture_classes import MIXTURE_CLASSES
from lilliput.export.gguf.rows import Architecture

_MISTRAL = replace(LLAMA, model_type="mistral", hf_class="MistralForCausalLM", another_class=True)
# Of those with one name in a file, the ones with more markers first.
ARCHITECTURES = (*MIXTURE_CLASSES, *LLAMA_CLASSES, _MISTRAL, *GPT_CLASSES)
MODEL_TYPES = tuple(dict.fromkeys(row.model_type for row in ARCHITECTURES))


def architecture_of_config(values: Mapping[str, Any]) -> Architecture | None:
    """The row that a folder's config.json means, if there is one."""
    kind = values.get("model_type")
    return next((row for row in ARCHITECTURES if row.model_type == kind and row.when(values)), None)


def architecture_of_file(name: str, tensors: set[str]) -> Architecture | None:
    """The row that a file's architecture and tensors mean, if there is one."""

    def fits(row: Architecture) -> bool:
        marked = all(any(one.endswith(end) for one in tensors) for end in row.markers)
        return row.name == name and not row.another_class and marked

    return next((row for row in ARCHITECTURES if fits(row)), None)
