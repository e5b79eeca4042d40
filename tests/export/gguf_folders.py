"""Tiny random Hugging Face folders of every class that GGUF can hold, made by transformers."""

from pathlib import Path
from typing import Any

import gguf
import tokenizers
import torch
import transformers

from lilliput.tokens import Tokenizer, train_tokenizer

CONTEXT = 64
TEXTS = ["Once upon a time, the cat didn't see 12 dogs — naïve café 😀.\n\n  It's 2026!"] * 20

_SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
}
_WIDE_HEADS: dict[str, Any] = {**_SHAPE, "head_dim": 32}
_LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
}  # fmt: skip
_FALCON: dict[str, Any] = {
    "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
}  # fmt: skip

_LATENT: dict[str, Any] = {
    **_SHAPE, "num_key_value_heads": 4, "q_lora_rank": 24, "kv_lora_rank": 32,
    "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 12, "num_hidden_layers": 3,
    "first_k_dense_replace": 1, "moe_intermediate_size": 48, "n_routed_experts": 8,
    "n_shared_experts": 2, "num_experts_per_tok": 2,
}  # fmt: skip
_LLAMA4: dict[str, Any] = {
    **_SHAPE, "num_hidden_layers": 5, "head_dim": 16, "intermediate_size": 48,
    "intermediate_size_mlp": 96, "num_local_experts": 4, "num_experts_per_tok": 2,
}  # fmt: skip
_TURNED_HALF = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}

# Name → (class, the arguments of its config).
CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {**_SHAPE, "tie_word_embeddings": False}),
    "llama-tied-biased": (
        "Llama",
        {**_WIDE_HEADS, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True},
    ),
    "llama-linear": (
        "Llama",
        {**_SHAPE, "rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}},
    ),
    "llama-llama3": ("Llama", {**_SHAPE, "rope_parameters": _LLAMA3}),
    "llama-yarn": (
        "Llama",
        {**_SHAPE, "rope_parameters": {
            "rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0,
            "original_max_position_embeddings": 16,
        }},
    ),
    "mistral": ("Mistral", {**_SHAPE, "sliding_window": None}),
    "mixtral": ("Mixtral", {**_SHAPE, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen2": ("Qwen2", {**_SHAPE, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}),
    "qwen3": ("Qwen3", {**_WIDE_HEADS, "tie_word_embeddings": True}),
    "qwen3-moe": (
        "Qwen3Moe",
        {**_WIDE_HEADS, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48,
         "norm_topk_prob": True},
    ),
    "olmoe": (
        "Olmoe",
        {**_SHAPE, "num_key_value_heads": 4, "num_experts": 4, "num_experts_per_tok": 2},
    ),
    "granite": (
        "Granite",
        {**_SHAPE, "embedding_multiplier": 3.0, "residual_multiplier": 0.7,
         "attention_multiplier": 0.2, "logits_scaling": 2.0},
    ),
    "smollm3": ("SmolLM3", {**_SHAPE, "num_hidden_layers": 5}),
    "olmo2": ("Olmo2", _SHAPE),
    "olmo2-tied": ("Olmo2", {**_SHAPE, "tie_word_embeddings": True}),
    "gemma3": (
        "Gemma3",
        {**_WIDE_HEADS, "num_hidden_layers": 7, "query_pre_attn_scalar": 32, "sliding_window": 8},
    ),
    "gemma": ("Gemma", {**_WIDE_HEADS, "num_key_value_heads": 1}),
    "gemma2": (
        "Gemma2",
        {**_WIDE_HEADS, "num_hidden_layers": 4, "query_pre_attn_scalar": 32, "sliding_window": 8,
         "attn_logit_softcapping": 2.0, "final_logit_softcapping": 5.0},
    ),
    "command-r": ("Cohere", {**_SHAPE, "logit_scale": 0.3}),
    "command-r7b": (
        "Cohere2",
        {**_SHAPE, "num_hidden_layers": 5, "sliding_window": 8, "logit_scale": 0.3},
    ),
    "phi": ("Phi", {**_SHAPE, "rope_parameters": _TURNED_HALF}),
    "phi3": ("Phi3", {**_SHAPE, "original_max_position_embeddings": CONTEXT}),
    "phi3-half": (
        "Phi3",
        {**_SHAPE, "tie_word_embeddings": True, "rope_parameters": _TURNED_HALF},
    ),
    "nemotron": ("Nemotron", {**_SHAPE, "rope_parameters": _TURNED_HALF}),
    "nemotron-tied-biased": (
        "Nemotron",
        {**_SHAPE, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True},
    ),
    "bitnet": ("BitNet", {**_SHAPE, "tie_word_embeddings": True, "hidden_act": "silu"}),
    "helium": ("Helium", {**_SHAPE, "head_dim": 16}),
    "gpt-oss": (
        "GptOss",
        {**_WIDE_HEADS, "num_hidden_layers": 4, "num_local_experts": 4, "num_experts_per_tok": 2,
         "sliding_window": 8, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}},
    ),
    "llama4": ("Llama4", {**_LLAMA4, "interleave_moe_layer_step": 1}),
    "llama4-every-second": ("Llama4", {**_LLAMA4, "interleave_moe_layer_step": 2}),
    "deepseek-v2": ("DeepseekV2", {**_LATENT, "topk_method": "greedy"}),
    "deepseek-v2-lite": (
        "DeepseekV2",
        {**_LATENT, "num_hidden_layers": 26, "q_lora_rank": None, "first_k_dense_replace": 0,
         "topk_method": "greedy"},
    ),
    "deepseek-v3": ("DeepseekV3", {**_LATENT, "n_group": 4, "topk_group": 2}),
    "deepseek-v3-one-group": (
        "DeepseekV3",
        {**_LATENT, "n_group": 1, "topk_group": 1, "norm_topk_prob": False},
    ),
    "starcoder2": ("Starcoder2", _SHAPE),
    "starcoder": ("GPTBigCode", {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT}),
    "starcoder-heads": (
        "GPTBigCode",
        {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT, "multi_query": False},
    ),
    "gpt-j": (
        "GPTJ",
        {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT, "rotary_dim": 8},
    ),
    "gpt2": ("GPT2", {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT}),
    "bloom": ("Bloom", {"hidden_size": 64, "n_layer": 2, "n_head": 4}),
    "falcon": ("Falcon", {**_FALCON, "multi_query": True}),
    "falcon-heads": ("Falcon", {**_FALCON, "multi_query": False}),
    "falcon-groups": ("Falcon", {**_FALCON, "new_decoder_architecture": True, "num_kv_heads": 2}),
}  # fmt: skip

# Their norms scale by 1 + weight.
_FROM_ONE = ("Gemma", "Gemma2", "Gemma3", "Nemotron")


def tiny_tokenizer(pattern: str = "qwen2") -> Tokenizer:
    return train_tokenizer(TEXTS, vocabulary_size=320, pattern=pattern)


def make_folder(
    name: str, folder: Path, tokenizer: Tokenizer, *, spread: float = 0.15, **changes: Any
) -> Path:
    """A folder with every parameter random (norms and biases too) and this tokenizer."""
    stem, arguments = CLASSES[name]
    is_text = stem in ("Gemma3", "Llama4")
    config_class = getattr(transformers, f"{stem}TextConfig" if is_text else f"{stem}Config")
    head = "GPT2LMHeadModel" if stem == "GPT2" else f"{stem}ForCausalLM"
    config = config_class(
        **{
            "vocab_size": tokenizer.vocabulary_size,
            "bos_token_id": tokenizer.end_of_text,
            "eos_token_id": tokenizer.end_of_text,
            "pad_token_id": tokenizer.padding,
            **arguments,
            **changes,
        }
    )
    torch.manual_seed(11)
    model = getattr(transformers, head)(config)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            is_norm = "norm" in parameter_name or ".ln_" in parameter_name
            is_gain = is_norm and parameter_name.endswith("weight") and stem not in _FROM_ONE
            parameter.normal_(1.0 if is_gain else 0.0, spread)
        for buffer_name, buffer in model.named_buffers():
            if buffer_name.endswith("e_score_correction_bias"):
                buffer.normal_(0.0, spread)
    model.save_pretrained(folder)
    tokenizer.save(folder)
    return folder


def rewritten(source: Path, target: Path, drop: tuple[str, ...] = (), **changes: object) -> Path:
    """The file with some metadata changed (a double underscore stands for a dot), others gone."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, "llama")
    metadata = {key: field.contents() for key, field in reader.fields.items()}
    metadata |= {key.replace("__", "."): value for key, value in changes.items()}
    adders = {bool: "add_bool", int: "add_uint32", float: "add_float32", str: "add_string"}
    for key, value in metadata.items():
        if not key.startswith("GGUF.") and key != "general.architecture" and key not in drop:
            getattr(writer, adders.get(type(value), "add_array"))(key, value)
    for tensor in reader.tensors:
        if tensor.name not in drop:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def sentencepiece(vocabulary_size: int) -> tuple[Any, dict[str, Any], tuple[str, ...]]:
    """A trained SentencePiece BPE, its metadata for `rewritten`, and the entries to drop."""
    trained = tokenizers.SentencePieceBPETokenizer(add_prefix_space=True)
    # Words only: where a text has no token, bytes stand for it.
    trained.train_from_iterator(TEXTS, vocab_size=vocabulary_size - 259, special_tokens=[])
    pieces = sorted(trained.get_vocab(), key=trained.get_vocab().__getitem__)
    names = ["<none>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    unused = vocabulary_size - len(names)
    metadata = {
        "model": "llama",
        "tokens": [*names, *(f"[PAD{number}]" for number in range(unused))],
        "token_type": [2, 3, 3] + [6] * 256 + [1] * len(pieces) + [5] * unused,
        "scores": [0.0] * 259 + [-float(rank) for rank in range(len(pieces) + unused)],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "unknown_token_id": 0,
    }
    named = {f"tokenizer__ggml__{name}": value for name, value in metadata.items()}
    drop = ("merges", "pre", "add_space_prefix", "add_bos_token", "padding_token_id")
    return trained, named, tuple(f"tokenizer.ggml.{name}" for name in drop)
