"""Texts, single ones and pairs, to token numbers."""

import dataclasses

import numpy as np

from deepapps.data.ragged import Ragged
from deepapps.data.tokenizers import UNKNOWN, StoredTokenizer, Tokenizer, learn_tokenizer


class StoredTexts(StoredTokenizer):
    """A `TextEncoder` as JSON holds it."""

    pairs: bool


@dataclasses.dataclass(frozen=True)
class TextEncoder:
    """Turns texts into token numbers.

    Attributes:
        tokenizer: The `Tokenizer`.
        pairs: Whether an example is a pair of texts.
    """

    tokenizer: Tokenizer
    pairs: bool

    @classmethod
    def learn(cls, texts, **options):
        """The encoder of training texts; options as of `learn_tokenizer`."""
        pairs = isinstance(texts[0], tuple)
        singles = [text for pair in texts for text in pair] if pairs else texts
        return cls(learn_tokenizer(singles, **options), pairs)

    def encode(self, raw, where="texts"):
        """One text, or many, as `Ragged` token numbers.

        Args:
            raw: A string or a list of strings. Of pairs a tuple of two or a list of them; or
                strings with a tab between the two.
            where: What to call them in an error line.
        Raises: ValueError when something else is given.
        """
        if isinstance(raw, np.ndarray):
            raw = raw.tolist()
        texts = [raw] if isinstance(raw, str | tuple) else list(raw)
        if not self.pairs:
            for text in texts:
                if not isinstance(text, str):
                    raise ValueError(f"{where}: must be strings. Received: {text!r:.80}")
            return self.tokenizer.encode(texts)
        tokens = self.tokenizer.encode([text for pair in texts for text in _pair(pair, where)])
        return Ragged(tokens.values, tokens.lengths.reshape(-1, 2), tokens.cut)

    def texts_of(self, raw):
        """The texts of one example: one, or the two of a pair."""
        return _pair(raw, "text") if self.pairs else (raw,)

    def form(self):
        """The inputs as `sequence_network` must know them."""
        ngrams = 4 if self.tokenizer.kind == "characters" else 1
        return {"vocabulary": self.tokenizer.own_size, "ngrams": ngrams, "pairs": self.pairs}

    def figures(self, inputs):
        """What evaluation says of encoded texts beside the answers."""
        return {"unknown_tokens": float(np.mean(inputs.values == UNKNOWN)), "cut_texts": inputs.cut}

    def describe(self, inputs):
        """The vocabulary, and how much of the encoded texts is not in it, as text."""
        unknown = self.figures(inputs)["unknown_tokens"]
        return f"{self.tokenizer.kind}: {self.tokenizer.size:,} known, {unknown:.2%} unknown"

    def stored(self):
        """The encoder as a dict that JSON can hold."""
        return {"pairs": self.pairs, **self.tokenizer.stored()}

    @classmethod
    def loaded(cls, stored):
        """Brings back what `stored` gave, `StoredTexts`."""
        return cls(Tokenizer.loaded(stored), stored["pairs"])


def _pair(pair, where):
    parts = tuple(pair.split("\t")) if isinstance(pair, str) else pair
    if (
        not isinstance(parts, tuple | list)
        or len(parts) != 2
        or not all(isinstance(part, str) for part in parts)
    ):
        raise ValueError(
            f"{where}: must be pairs of strings, or strings with a tab between the two. Received: "
            f"{pair!r:.80}"
        )
    return parts
