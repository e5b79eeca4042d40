"""Names of weights and configuration in transformers' T5ForConditionalGeneration, both ways."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lilliput.errors import UserError
from lilliput.model.t5.config import T5Config

MODEL_TYPE, ARCHITECTURE = "t5", "T5ForConditionalGeneration"

_ATTENTION = {"query": "q", "key": "k", "value": "v", "output": "o"}
_FEED_FORWARD = {"up": "wi", "down": "wo"}
_GATED_FEED_FORWARD = {"gate": "wi_0", "up": "wi_1", "down": "wo"}
_SUBLAYERS = {
    "encoder": {"attention": "SelfAttention", "feed_forward": "DenseReluDense"},
    "decoder": {
        "attention": "SelfAttention",
        "cross_attention": "EncDecAttention",
        "feed_forward": "DenseReluDense",
    },
}
_FIRST_ATTENTION = "block.0.layer.0.SelfAttention"
_OTHER_NAMES = {
    "embedding.weight": (
        "encoder.embed_tokens.weight",
        "decoder.embed_tokens.weight",
        "lm_head.weight",
    ),
    "head.weight": ("shared.weight",),
}
_PROJECTION_OF_ACTIVATION = {"relu": "relu", "gelu_tanh": "gelu_new", "silu": "silu"}
_ACTIVATION_OF_PROJECTION = {own: name for name, own in _PROJECTION_OF_ACTIVATION.items()}
_USUAL_SENTINELS = 100


def foreign_config(config: T5Config, *, end_of_text: int, padding: int) -> dict[str, Any]:
    """The `config.json` that transformers' T5 reads, with the sentinels' ids beside its fields."""
    projection = _PROJECTION_OF_ACTIVATION[config.activation]
    if config.gated:
        # transformers' own name for the gated tanh approximation is "gated-gelu".
        projection = "gated-" + ("gelu" if projection == "gelu_new" else projection)
    return {
        "architectures": [ARCHITECTURE],
        "model_type": MODEL_TYPE,
        "is_encoder_decoder": True,
        "torch_dtype": "float32",
        "vocab_size": config.vocabulary_size,
        "n_positions": config.context_length,
        "d_model": config.d_model,
        "d_kv": config.head_dim,
        "d_ff": config.d_ff,
        "num_layers": config.n_encoder_layers,
        "num_decoder_layers": config.n_layers,
        "num_heads": config.n_heads,
        "relative_attention_num_buckets": config.relative_buckets,
        "relative_attention_max_distance": config.relative_distance,
        "dropout_rate": 0.0,
        "layer_norm_epsilon": config.norm_eps,
        "feed_forward_proj": projection,
        "tie_word_embeddings": config.tied,
        "eos_token_id": end_of_text,
        "pad_token_id": padding,
        "decoder_start_token_id": config.start_token,
        "first_sentinel_id": config.first_sentinel,
        "number_of_sentinels": config.n_sentinels,
        "use_cache": True,
    }


def own_config(values: Mapping[str, Any], where: str) -> T5Config:
    """The T5Config of a transformers `config.json`. Raises UserError for what we cannot hold.

    transformers 5 writes `tie_word_embeddings` true for every T5, and whether the output is scaled,
    which is what tells the versions apart, in a field of its own. Where no sentinels are named they
    are those of the published models: the 100 ids below 32,100, or the last of a smaller
    vocabulary.
    """
    if values.get("model_type") != MODEL_TYPE:
        raise UserError(f"{where}: model_type {values.get('model_type')!r} is not {MODEL_TYPE!r}")
    projection = values.get("feed_forward_proj", "relu")
    gated = projection.startswith("gated-")
    name = "gelu_new" if projection == "gated-gelu" else projection.removeprefix("gated-")
    if name not in _ACTIVATION_OF_PROJECTION:
        raise UserError(
            f"{where}: feed_forward_proj {projection!r} has a value Lilliput cannot compute yet"
        )
    tied = values.get("scale_decoder_outputs", values.get("tie_word_embeddings", True) is not False)
    try:
        vocabulary_size, layers = values["vocab_size"], values["num_layers"]
        return T5Config(
            family="t5" if gated or not tied else "t5-v1.0",
            vocabulary_size=vocabulary_size,
            context_length=values.get("n_positions", 512),
            n_layers=values.get("num_decoder_layers") or layers,
            n_encoder_layers=layers,
            d_model=values["d_model"],
            n_heads=values["num_heads"],
            head_dim=values["d_kv"],
            d_ff=values["d_ff"],
            gated=gated,
            activation=_ACTIVATION_OF_PROJECTION[name],  # type: ignore[arg-type]
            tied=bool(tied),
            relative_buckets=values.get("relative_attention_num_buckets", 32),
            relative_distance=values.get("relative_attention_max_distance", 128),
            norm_eps=values.get("layer_norm_epsilon", 1e-6),
            first_sentinel=values.get("first_sentinel_id", min(32_099, vocabulary_size - 1)),
            n_sentinels=values.get("number_of_sentinels", min(_USUAL_SENTINELS, vocabulary_size)),
            start_token=values.get("decoder_start_token_id", values.get("pad_token_id") or 0),
        )
    except KeyError as error:
        raise UserError(f"{where}: field {error} is missing") from None


def to_foreign(weights: Mapping[str, Tensor], config: T5Config) -> dict[str, Tensor]:
    """Our state dict → the tensors of transformers' class, contiguous, a tied head left out."""
    names = _names(config)
    return {names[name]: tensor.contiguous() for name, tensor in weights.items()}


def from_foreign(tensors: Mapping[str, Tensor], config: T5Config) -> dict[str, Tensor]:
    """The inverse of `to_foreign`; tensors we do not know (tied copies) are left out.

    Of tensors that are one in memory a file holds but one, under any of its names; so an untied
    head that it lacks was equal to the embedding.
    """
    found = {own: tensors[theirs] for own, theirs in _names(config).items() if theirs in tensors}
    for own in _OTHER_NAMES.keys() & _names(config).keys() - found.keys():
        held = [tensors[theirs] for theirs in _OTHER_NAMES[own] if theirs in tensors]
        if held:
            found[own] = held[0].clone()
    return found


def _names(config: T5Config) -> dict[str, str]:
    """Our name of every tensor → theirs."""
    names = {
        "embedding.weight": "shared.weight",
        "encoder_norm.weight": "encoder.final_layer_norm.weight",
        "final_norm.weight": "decoder.final_layer_norm.weight",
    }
    for stack in ("encoder", "decoder"):
        theirs = f"{stack}.{_FIRST_ATTENTION}.relative_attention_bias.weight"
        names[f"{stack}_bias.weight"] = theirs
    if not config.tied:
        names["head.weight"] = "lm_head.weight"
    layers = {"encoder": config.n_encoder_layers, "decoder": config.n_layers}
    feed_forward = _GATED_FEED_FORWARD if config.gated else _FEED_FORWARD
    for stack, count in layers.items():
        for layer in range(count):
            for place, (own, module) in enumerate(_SUBLAYERS[stack].items()):
                before = f"blocks.{stack}.{layer}.{own}"
                after = f"{stack}.block.{layer}.layer.{place}"
                names[f"{before}_norm.weight"] = f"{after}.layer_norm.weight"
                matrices = feed_forward if own == "feed_forward" else _ATTENTION
                for matrix, theirs in matrices.items():
                    names[f"{before}.{matrix}.weight"] = f"{after}.{module}.{theirs}.weight"
    return names
