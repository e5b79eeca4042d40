"""`POST /v1/embeddings`: texts as vectors, the mean of the model's last hidden states."""

import base64
from collections.abc import Sequence

import numpy as np
import torch
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from lilliput.errors import UserError
from lilliput.generate import LanguageModel
from lilliput.model.t5.trunk import T5
from lilliput.serve.answers import Embedding, EmbeddingsAnswer
from lilliput.serve.documented import responses
from lilliput.serve.errors import ApiError
from lilliput.serve.models import Prompt, find_model, read_prompts
from lilliput.serve.schemas import EmbeddingBody

TOKENS_AT_ONCE = 4096

router = APIRouter()


@router.post("/v1/embeddings", responses=responses(EmbeddingsAnswer))
async def embeddings(body: EmbeddingBody, request: Request) -> Response:
    """One vector of length 1 for each text."""
    served = find_model(request, body.model)
    model = served.model
    width = model.decoder.config.d_model
    if body.dimensions not in (None, width):
        raise ApiError(400, f"dimensions: this model's vectors have {width}", param="dimensions")
    prompts = await read_prompts(served, body.input, add_beginning=True, param="input")
    for prompt in prompts:
        _check_length(model, prompt)
    vectors = np.empty((len(prompts), width), dtype="<f4")
    for batch in _batches(prompts):
        chosen = [prompts[index] for index in batch]
        vectors[batch] = await served.run(lambda chosen=chosen: mean_hidden(model, chosen))  # type: ignore[misc]
    tokens = sum(len(prompt.ids) for prompt in prompts)
    served.metrics.prompt_tokens.add(served.name, amount=tokens)
    answer: EmbeddingsAnswer = {
        "object": "list",
        "data": [
            _shown(index, vector, body.encoding_format == "base64")
            for index, vector in enumerate(vectors)
        ],
        "model": served.name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return JSONResponse(answer)


def _check_length(model: LanguageModel, prompt: Prompt) -> None:
    if not prompt.given:
        raise ApiError(400, "input: an empty text has no vector", param="input")
    if len(prompt.ids) > model.context_length:
        raise ApiError(
            400,
            f"input: a text of {len(prompt.ids)} tokens does not fit in the context of "
            f"{model.context_length}",
            param="input",
            code="context_length_exceeded",
        )


def _batches(prompts: Sequence[Prompt]) -> list[list[int]]:
    """Indices of prompts of similar length that go through the decoder together."""
    waiting = sorted(range(len(prompts)), key=lambda index: -len(prompts[index].ids))
    batches = []
    while waiting:
        count = max(1, TOKENS_AT_ONCE // len(prompts[waiting[0]].ids))
        batches.append(waiting[:count])
        waiting = waiting[count:]
    return batches


@torch.inference_mode()
def mean_hidden(model: LanguageModel, prompts: Sequence[Prompt]) -> np.ndarray:
    """The mean over each text's own tokens of the hidden states [B, D], scaled to length 1.

    Of an encoder-decoder, the encoder's. The beginning the model reads before a text is not
    averaged.
    """
    decoder = model.decoder
    width = max(len(prompt.ids) for prompt in prompts)
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    counted = torch.zeros(len(prompts), width)
    present = torch.zeros(len(prompts), width, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        # Padding on the right needs no mask: a decoder never looks at what comes later.
        ids[row, : len(prompt.ids)] = torch.tensor(prompt.ids)
        present[row, : len(prompt.ids)] = True
        counted[row, prompt.hidden : len(prompt.ids)] = 1
    device = decoder.head_weight.device
    if isinstance(decoder, T5):
        hidden = decoder.encode(ids.to(device), present.to(device))
    else:
        hidden = decoder.hidden(ids.to(device))
    weights = counted.to(device)[..., None]
    # Padding could hold anything; times 0 it must be nothing.
    means = (hidden.float().nan_to_num() * weights).sum(dim=1) / weights.sum(dim=1)
    if not bool(means.isfinite().all()):
        raise UserError("the model's hidden states are not finite: its weights are damaged")
    found: np.ndarray = torch.nn.functional.normalize(means, dim=-1).cpu().numpy()
    return found


def _shown(index: int, vector: np.ndarray, encoded: bool) -> Embedding:
    shown = base64.b64encode(vector.tobytes()).decode("ascii") if encoded else vector.tolist()
    return {"object": "embedding", "index": index, "embedding": shown}
