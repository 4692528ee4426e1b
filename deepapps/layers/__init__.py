"""Attention layers, and an LSTM that attends at every step."""

from deepapps.layers.attention import Attention, Memory
from deepapps.layers.multi_head import MultiHeadAttention
from deepapps.layers.scores import (
    AdditiveAttention,
    ConcatAttention,
    DotProductAttention,
    ScaledDotProductAttention,
)
