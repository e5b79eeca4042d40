"""The random models of the inference benchmark, in every contender's format."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from inference_contenders import CONTENDERS

from lilliput.tokens import train_tokenizer

TEXT = "Once upon a time, there was a little cat. It didn't like the rain, but it liked tea. "
SHAPES = {
    # width, layers, heads, feed-forward, vocabulary
    "3m": (192, 5, 6, 512, 4096),
    "15m": (288, 6, 6, 768, 32_000),
    "125m": (768, 12, 12, 2048, 32_000),
}
CONTEXT_LENGTH = 512


def write_model(folder: Path, size: str) -> None:
    """A random model of Llama's class as a Hugging Face folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    width, layers, heads, feed_forward, vocabulary = SHAPES[size]
    torch.manual_seed(1)
    train_tokenizer([TEXT * 50], vocabulary_size=400).save(folder)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=feed_forward,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=CONTEXT_LENGTH,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def prepare(name: str, size: str, work: Path, options: argparse.Namespace) -> dict[str, Path]:
    """The files a contender needs, written once."""
    model = work / size / "model"
    if not model.exists():
        write_model(model, size)
    files = {"model": model}
    kind = CONTENDERS[name].file_kind
    if name.startswith("llama.cpp"):
        files["gguf"] = work / size / f"{kind}.gguf"
        if not files["gguf"].exists():
            from lilliput.export.gguf.write import write_gguf

            write_gguf(model, files["gguf"], kind=kind)  # type: ignore[arg-type]
    if name.startswith("onnxruntime") and options.genai:
        files["genai"] = options.genai
        files["onnx"] = work / size / f"genai-{kind}"
        if not files["onnx"].exists():
            build_for_genai(model, files["onnx"], kind, options.genai)
    if name.startswith("lilliput") and kind != "float32":
        files["model"] = work / size / kind
        if not files["model"].exists():
            from lilliput.verbs.quantising import quantise

            quantise(model, files["model"], bits=int(kind.removeprefix("int")))
    return files


def build_for_genai(model: Path, folder: Path, kind: str, genai: Path) -> None:
    """onnxruntime-genai's own builder."""
    environment = os.environ | {"PYTHONPATH": str(genai), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", str(model)]
    command += ["-o", str(folder), "-p", kind, "-e", "cpu", "-c", str(folder / "cache")]
    subprocess.run(command, check=True, capture_output=True, env=environment)
