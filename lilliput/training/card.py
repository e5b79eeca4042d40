"""The model card: what the model is made of, what it cost, what it measures."""

from lilliput.training.planner import Plan
from lilliput.training.validation import Validation


def model_card(
    plan: Plan,
    *,
    device: str,
    validation: Validation,
    seconds: float,
    tokens: int,
    joules: float | None,
    report: str,
) -> str:
    """Markdown for the model folder's README.md, with the front matter model hubs read."""
    config = plan.config
    flops = tokens * plan.method.flops_per_token
    rows = {
        "Parameters": f"{config.parameters:,} ({config.block_parameters:,} in blocks)",
        "Family": config.family,
        "Layers, width": f"{config.n_layers}, {config.d_model}",
        "Vocabulary": f"{config.vocabulary_size:,}",
        "Context length": f"{config.context_length:,} tokens",
        "Trained on": f"{tokens:,} tokens",
        "Training compute": f"{flops:.3g} FLOPs in {seconds / 60:.1f} minutes on {device}",
        "Energy": "not readable on this machine" if joules is None else f"{joules / 3600:.3g} Wh",
        "Validation": f"{validation.bits_per_byte:.4f} bits per byte "
        f"({validation.loss:.4f} nats per token over {validation.tokens:,} tokens)",
    }
    if plan.base:
        rows["Begun from"] = plan.base.folder.as_posix()
    for name, value in validation.measures.items():
        rows[name.replace("_", " ").capitalize()] = f"{value:.1%}"
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"""---
library_name: transformers
pipeline_tag: text-generation
tags: [lilliput]
---

# A tiny language model

Grown with Lilliput from the owner's own text. It knows that text and nothing else; it may repeat
passages of it, so share the model only as you would share the text.

| | |
| --- | --- |
{table}

The full recipe is `../recipe.toml`, the curves and samples are in `{report}`.

## Licence

The text's owner decides: the weights derive from that text. Lilliput itself claims no rights in
them.
"""
