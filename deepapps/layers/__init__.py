"""Attention layers, LSTMs with and without attention, and the blocks of a Transformer."""

from deepapps.layers.attention import Attention, Memory
from deepapps.layers.attention_lstm import (
    LSTMN,
    AttentionGRU,
    AttentionLSTM,
    AttentionRNN,
    LuongLSTM,
)
from deepapps.layers.cells import AttentionCell
from deepapps.layers.lstm import LSTM
from deepapps.layers.lstm_cells import AttentionGRUCell, AttentionLSTMCell, LSTMNCell, LuongLSTMCell
from deepapps.layers.multi_head import MultiHeadAttention
from deepapps.layers.pooling import AttentionPooling
from deepapps.layers.positions import LearnedPositions, RotaryPositions, SinusoidalPositions
from deepapps.layers.scores import (
    AdditiveAttention,
    ConcatAttention,
    DotProductAttention,
    ScaledDotProductAttention,
)
from deepapps.layers.tokens import NGramEmbedding, TokenDropout
from deepapps.layers.transformer import TransformerDecoder, TransformerEncoder

__all__ = [
    "AdditiveAttention",
    "Attention",
    "AttentionCell",
    "AttentionGRU",
    "AttentionGRUCell",
    "AttentionLSTM",
    "AttentionLSTMCell",
    "AttentionPooling",
    "AttentionRNN",
    "ConcatAttention",
    "DotProductAttention",
    "LSTM",
    "LSTMN",
    "LSTMNCell",
    "LearnedPositions",
    "LuongLSTM",
    "LuongLSTMCell",
    "Memory",
    "MultiHeadAttention",
    "NGramEmbedding",
    "RotaryPositions",
    "ScaledDotProductAttention",
    "SinusoidalPositions",
    "TokenDropout",
    "TransformerDecoder",
    "TransformerEncoder",
]
