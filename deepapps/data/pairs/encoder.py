"""Sentences of two languages to subword numbers, and back. Imports no TensorFlow."""

import dataclasses
import typing

import numpy as np

from deepapps.data.ragged import Ragged
from deepapps.data.tokenizers import UNKNOWN, StoredTokenizer, Tokenizer, learn_tokenizer

# Subwords know every text, so its number is free: it begins and ends a target, and ends a source.
BOUNDARY = UNKNOWN


class StoredPairs(typing.TypedDict):
    """A `PairEncoder` as JSON holds it; no target where both sides share the source's."""

    source: StoredTokenizer
    target: StoredTokenizer | None


@dataclasses.dataclass(frozen=True)
class PairEncoder:
    """Turns sentences of both languages into subword numbers, and back.

    Attributes:
        source, target: The `Tokenizer` of each side; the same one where they share it.
    """

    source: Tokenizer
    target: Tokenizer

    @classmethod
    def learn(cls, pairs, joint, **options):
        """The encoder of training pairs: one vocabulary for both sides if `joint`; options as of
        `learn_tokenizer`.
        """
        sides = (
            [[text for pair in pairs for text in pair]] if joint else list(zip(*pairs, strict=True))
        )
        learnt = [learn_tokenizer(side, "subwords", **options) for side in sides]
        return cls(learnt[0], learnt[-1])

    def encode(self, raw, where="sentences"):
        """One source sentence, or many, as `Ragged` numbers, a boundary at the end of each.

        Raises: ValueError for what is no text.
        """
        return _bounded(
            self.source, [raw] if isinstance(raw, str) else list(raw), where, begin=False
        )

    def encode_targets(self, raw, where="sentences"):
        """Target sentences as `Ragged` numbers, a boundary at both ends of each."""
        return _bounded(self.target, raw, where)

    def decode(self, numbers):
        """The text of each row of target numbers; what comes after the first boundary counts no
        more.
        """
        rows = [list(row) for row in numbers]
        return self.target.decode(
            [row[: row.index(BOUNDARY)] if BOUNDARY in row else row for row in rows]
        )

    def stored(self):
        """The encoder as a dict that JSON can hold."""
        joint = self.source is self.target
        return {"source": self.source.stored(), "target": None if joint else self.target.stored()}

    @classmethod
    def loaded(cls, source, target):
        """Brings back what `stored` gave."""
        source = Tokenizer.loaded(source)
        return cls(source, source if target is None else Tokenizer.loaded(target))


def _bounded(tokenizer, texts, where, begin=True):
    """Texts as numbers with a boundary at the end, and one at the beginning unless it is not
    wanted.
    """
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"{where}: must be strings. Received: {text!r:.80}")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"{where}: must be text that UTF-8 can hold. Received: {text!r:.80}"
            ) from None
    ragged = tokenizer.encode(texts)
    lengths = ragged.lengths + (1 + begin)
    values = np.full(int(lengths.sum()), BOUNDARY, "int32")
    starts = np.cumsum(lengths, dtype="int64") - lengths
    places = np.repeat(starts + begin - ragged.starts, ragged.lengths) + np.arange(
        len(ragged.values)
    )
    values[places] = ragged.values
    return Ragged(values, lengths, ragged.cut)
