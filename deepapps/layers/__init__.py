"""Attention layers, and an LSTM that attends at every step."""

from deepapps.layers.attention import Attention, Memory
from deepapps.layers.attention_lstm import LSTMN, AttentionGRU, AttentionLSTM, AttentionRNN, LuongLSTM
from deepapps.layers.cells import AttentionCell, AttentionGRUCell, AttentionLSTMCell, LSTMNCell, LuongLSTMCell
from deepapps.layers.multi_head import MultiHeadAttention
from deepapps.layers.scores import (
    AdditiveAttention,
    ConcatAttention,
    DotProductAttention,
    ScaledDotProductAttention,
)

__all__ = [
    "AdditiveAttention", "Attention", "AttentionCell", "AttentionGRU", "AttentionGRUCell", "AttentionLSTM",
    "AttentionLSTMCell", "AttentionRNN", "ConcatAttention", "DotProductAttention", "LSTMN", "LSTMNCell", "LuongLSTM",
    "LuongLSTMCell", "Memory", "MultiHeadAttention", "ScaledDotProductAttention",
]  # fmt: skip
