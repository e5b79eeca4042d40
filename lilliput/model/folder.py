"""The model folder: a Hugging Face folder that transformers loads as it is."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lilliput.errors import UserError
from lilliput.files import read_json, write_bytes, write_json, write_text
from lilliput.model.adapters import with_adapter
from lilliput.model.config import ModelConfig
from lilliput.model.decoder import Decoder
from lilliput.model.exchange import (
    CLASSES,
    OWN_TYPE,
    ForeignClass,
    foreign_class,
    foreign_config,
    from_foreign,
    own_config,
    to_foreign,
)
from lilliput.model.families import FAMILIES
from lilliput.model.linear import RoundedLinear, rounded_weight
from lilliput.model.mamba.config import MambaConfig
from lilliput.model.mamba.exchange import (
    check_mamba_exchangeable,
    foreign_mamba_config,
    from_foreign_mamba,
    own_mamba_config,
    to_foreign_mamba,
)
from lilliput.model.mamba.trunk import Mamba
from lilliput.model.packed import CONFIG_KEY, PackedWeights, with_packed_matrices
from lilliput.model.retro.config import RetroConfig
from lilliput.model.t5 import exchange as t5
from lilliput.model.t5.config import T5Config
from lilliput.model.t5.trunk import T5
from lilliput.model.trunks import Trunk, TrunkConfig, build


def save_model(
    model: Trunk, folder: Path, *, end_of_text: int, padding: int, card: str = ""
) -> None:
    """Write `config.json`, `model.safetensors`, `generation_config.json`, `README.md`, in float32.

    The folder is one of the transformers class that computes the same; if there is none, of ours
    (`export_class` says which before training). Weights that training rounded are written rounded.
    Each file is written atomically and the weights last but for the card, so that a folder with
    weights is whole. The tokenizer's files are the tokens room's to add.
    """
    values, tensors = _foreign(model, end_of_text, padding)
    write_json(folder / "config.json", values)
    generation = {"bos_token_id": end_of_text, "eos_token_id": end_of_text, "pad_token_id": padding}
    if isinstance(model, T5):
        generation["decoder_start_token_id"] = model.config.start_token
    write_json(folder / "generation_config.json", generation | {"do_sample": True})
    write_bytes(folder / "model.safetensors", save(tensors, metadata={"format": "pt"}))
    if card:
        write_text(folder / "README.md", card)


def save_packed_model(model: Decoder, weights: PackedWeights, source: Path, folder: Path) -> None:
    """Write a decoder whose matrices are packed as `weights` says, which only Lilliput opens.

    What is no weight (tokenizer, special tokens, generation settings) is copied from the model
    folder `source`. The weights are written last, so that a folder with weights is whole.
    """
    before = read_json(source / "config.json")
    special = {name: value for name, value in before.items() if name.endswith("_token_id")}
    values = {"model_type": OWN_TYPE, OWN_TYPE: model.config.to_dict(), **special}
    write_json(folder / "config.json", values | {CONFIG_KEY: weights.to_dict()})
    for path in sorted(source.glob("*.json")):
        if path.name != "config.json" and not path.name.startswith("model.safetensors"):
            write_bytes(folder / path.name, path.read_bytes())
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    write_bytes(folder / "model.safetensors", save(tensors, metadata={"format": "pt"}))


def packed_weights(folder: Path) -> PackedWeights | None:
    """How a model folder's matrices are packed; None where they are plain numbers."""
    path = folder / "config.json"
    stored = read_json(path).get(CONFIG_KEY)
    return None if stored is None else PackedWeights.from_dict(stored, str(path))


def _foreign(
    model: Trunk, end_of_text: int, padding: int
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """`config.json` and tensors of the transformers class, or of ours."""
    special = {"end_of_text": end_of_text, "padding": padding}
    if isinstance(model, Decoder):
        config = settled(model.config)
        one, _ = export_class(config)
        tensors = to_foreign(settled_weights(model), config, one)
        return foreign_config(config, one, **special), tensors
    weights = {name: tensor.detach().float().cpu() for name, tensor in model.state_dict().items()}
    if isinstance(model, Mamba):
        check_mamba_exchangeable(model.config)
        values = foreign_mamba_config(model.config, **special)
        return values, to_foreign_mamba(weights, model.config)
    return t5.foreign_config(model.config, **special), t5.to_foreign(weights, model.config)


def export_class(config: ModelConfig) -> tuple[ForeignClass | None, str]:
    """The transformers class of a trained model's folder; if none computes the same, the reason.

    The family's own class comes first, then any other that holds the configuration.
    """
    if isinstance(config, RetroConfig):
        return None, "no class of transformers retrieves"
    family = FAMILIES.get(config.family)
    one, reason = foreign_class(settled(config), family.model_type if family else None)
    if one is not None:
        return one, ""
    for model_type in CLASSES:
        other, _ = foreign_class(settled(config), model_type)
        if other is not None:
            return other, ""
    return None, reason


def becomes(config: TrunkConfig) -> str:
    """The transformers class of a trained model's folder, or why only Lilliput opens it."""
    if isinstance(config, MambaConfig):
        return "MambaForCausalLM"
    if isinstance(config, T5Config):
        return t5.ARCHITECTURE
    one, reason = export_class(config)
    return one.architecture if one else f"Lilliput alone: {reason}"


def settled(config: ModelConfig) -> ModelConfig:
    """The configuration that generation needs: without what only training does.

    Rounded weights are plain ones once they are rounded; ternary models round activations too.
    """
    linear = config.linear if config.linear == "ternary" else "full"
    return config.with_(n_future_tokens=0, linear=linear)


def settled_weights(model: Decoder) -> dict[str, Tensor]:
    """The float32 weights that `settled`'s configuration computes with."""
    weights = {
        name: tensor.detach().float().cpu()
        for name, tensor in model.state_dict().items()
        if not name.startswith("future.")
    }
    kind = model.config.linear
    if kind in ("full", "ternary"):
        return weights
    linears = {name for name, module in model.named_modules() if isinstance(module, RoundedLinear)}
    return {
        name: rounded_weight(tensor, kind) if name.removesuffix(".weight") in linears else tensor
        for name, tensor in weights.items()
    }


def load_config(folder: Path) -> TrunkConfig:
    """The configuration of a model folder. Raises UserError if it is none we can hold."""
    path = folder / "config.json"
    values = read_json(path)
    if values.get("model_type") == "mamba":
        return own_mamba_config(values, str(path))
    if values.get("model_type") == t5.MODEL_TYPE:
        return t5.own_config(values, str(path))
    return own_config(values, str(path))


def load_model(
    folder: Path,
    *,
    adapter: Path | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Trunk:
    """Read a model folder, ours or any of a known family, in evaluation mode.

    `adapter`: a PEFT folder of a LoRA, whose changes are added to the weights.
    Raises UserError if the folder is not a model, its weights are only in pickle form (never
    opened: unpickling runs code), a tensor is missing or of another shape, or the adapter is not
    this model's.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such model folder")
    config = load_config(folder)
    packed = packed_weights(folder)
    with torch.device("meta"):
        model = build(config)
        if packed is not None and isinstance(model, Decoder):
            with_packed_matrices(model, packed)
    wanted = dict(model.state_dict())
    if adapter is not None and packed is not None:
        raise UserError(f"{folder}: its weights are packed: an adapter needs the model before that")
    weights = _own_weights(folder, config, set(wanted), adapter)
    _check_tensors(folder, config, weights, wanted)
    # Codes and their scales keep the number formats they are stored in.
    fixed = {name for name, _ in model.named_buffers()} if packed is not None else set()
    model.load_state_dict(
        {
            name: tensor.to(device=device, dtype=wanted[name].dtype if name in fixed else dtype)
            for name, tensor in weights.items()
        },
        assign=True,
    )
    return model.requires_grad_(False).eval()


def _own_weights(
    folder: Path, config: TrunkConfig, wanted: set[str], adapter: Path | None
) -> dict[str, Tensor]:
    tensors = _read_tensors(folder)
    if adapter is not None:
        tied_rows = config.vocabulary_size if config.tied else None
        tensors = with_adapter(tensors, adapter, tied_rows=tied_rows)
    if isinstance(config, MambaConfig):
        return from_foreign_mamba(tensors, config)
    if isinstance(config, T5Config):
        return t5.from_foreign(tensors, config)
    one = CLASSES.get(read_json(folder / "config.json")["model_type"])
    return from_foreign(tensors, config, one, wanted)


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    index = folder / "model.safetensors.index.json"
    if index.exists():
        names = sorted(set(read_json(index)["weight_map"].values()))
    else:
        names = ["model.safetensors"]
    tensors: dict[str, Tensor] = {}
    for name in names:
        path = folder / name
        if not path.exists():
            pickled = [p.name for p in folder.glob("*.bin")] + [p.name for p in folder.glob("*.pt")]
            reason = f" ({pickled[0]} is a pickle, which can run code)" if pickled else ""
            raise UserError(f"{path}: no such file; weights are read from safetensors only{reason}")
        try:
            with safe_open(path, framework="pt") as handle:
                tensors |= {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise UserError(f"{path}: not a whole safetensors file: {error}") from None
    return tensors


def _check_tensors(
    folder: Path, config: TrunkConfig, found: dict[str, Tensor], wanted: dict[str, Tensor]
) -> None:
    for name, tensor in wanted.items():
        if name not in found:
            raise UserError(
                f"{folder}: the weights lack {name}, which family {config.family} needs"
            )
        if found[name].shape != tensor.shape:
            raise UserError(
                f"{folder}: {name} has shape {tuple(found[name].shape)} where config.json "
                f"says {tuple(tensor.shape)}"
            )
