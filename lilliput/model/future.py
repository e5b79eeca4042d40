"""Multi-token prediction: training looks further ahead than one token."""

import torch
from torch import Tensor, nn

from lilliput.model.attention import Memory, Sight
from lilliput.model.config import ModelConfig
from lilliput.model.norms import make_norm


class FuturePredictor(nn.Module):
    """One more block that sees the next token's embedding and predicts the token after it.

    The sequential modules of DeepSeek-V3, arXiv 2412.19437, equations 21 to 25: head and embedding
    are the decoder's own.
    """

    def __init__(self, config: ModelConfig, block: nn.Module) -> None:
        super().__init__()
        self.hidden_norm = make_norm(config, config.d_model)
        self.embedding_norm = make_norm(config, config.d_model)
        self.merge = nn.Linear(2 * config.d_model, config.d_model, bias=False)
        self.block = block
        self.final_norm = make_norm(config, config.d_model)

    def forward(self, hidden: Tensor, following: Tensor, sight: Sight) -> Tensor:
        """hidden and the next tokens' embeddings [B, T, D] → the state one token on, [B, T, D]."""
        joined = torch.cat((self.hidden_norm(hidden), self.embedding_norm(following)), dim=-1)
        ahead: Tensor = self.final_norm(self.block(self.merge(joined), sight, Memory()))
        return ahead
