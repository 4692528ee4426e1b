"""Texts to numbers: words, characters or subwords, with a vocabulary from the training texts
alone.
"""

import contextlib
import json
import typing

import numpy as np
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from deepapps.data.ragged import Ragged
from deepapps.settings import LONGEST
from deepapps.typed_json import one_of, within

PADDING, UNKNOWN = 0, 1  # their numbers
FURTHER_WORDS = 100_000  # that a file of vectors may add; the commonest stand first in it
_NAMES = ["[PAD]", "[UNK]"]
_WORDS = r"\w+(?:['’]\w+)*|[^\w\s]"  # "don't" is one word, a punctuation mark another
_SHORT_TEXT = 3  # words


class StoredTokenizer(typing.TypedDict):
    """A `Tokenizer` as JSON holds it."""

    kind: typing.Annotated[str, one_of("words", "characters", "subwords")]
    max_length: typing.Annotated[int, within(1, LONGEST)]
    tokenizer: dict[str, object]
    further_size: typing.NotRequired[typing.Annotated[int, within(0, 2 * FURTHER_WORDS)]]


class Tokenizer:
    """Texts to lists of token numbers, and back to what each token stands for in the text.

    A wrapper of one of the package `tokenizers`. Number 0 is padding, 1 any unknown token.

    Args:
        tokenizer: A `tokenizers.Tokenizer`.
        kind: "words", "characters" or "subwords".
        max_length: Tokens after which a text is cut.
        further_size: How many of the tokens, the last ones, `add` has added.
    """

    def __init__(self, tokenizer, kind, max_length, further_size=0):
        tokenizer.encode_special_tokens = True  # a text may hold "[PAD]", too
        self._tokenizer, self.kind = tokenizer, kind
        self.max_length, self.further_size = max_length, further_size

    @property
    def size(self):
        """Number of tokens, padding and the unknown one included."""
        return self._tokenizer.get_vocab_size()

    @property
    def own_size(self):
        """Number of the tokens that are of the training texts, padding and the unknown one
        included.
        """
        return self.size - self.further_size

    def add(self, words, most=FURTHER_WORDS):
        """Adds the first of `words` that it reads as one token; none to subwords, which know
        every text.
        """

        if self.kind == "subwords":
            return
        normalizer, splitter = self._tokenizer.normalizer, self._tokenizer.pre_tokenizer
        numbers = self._tokenizer.get_vocab()
        room = len(numbers) + most
        for word in words:
            if len(numbers) == room:
                break
            parts = splitter.pre_tokenize_str(normalizer.normalize_str(word))
            if [part for part, _ in parts] == [word]:
                numbers.setdefault(word, len(numbers))
        self.further_size += len(numbers) - self.size
        self._tokenizer.model = tokenizers.models.WordLevel(numbers, unk_token=_NAMES[UNKNOWN])

    def words(self):
        """The tokens in the order of their numbers."""
        numbers = self._tokenizer.get_vocab()
        return sorted(numbers, key=numbers.get)

    def encode(self, texts):
        """Texts as `Ragged` token numbers, int32, at least one for each text."""
        texts = list(texts)
        with _unicode_checked(texts):
            numbers = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts)]
        cut = sum(len(row) > self.max_length for row in numbers)
        numbers = [
            row[: self.max_length] or [UNKNOWN] for row in numbers
        ]  # nothing at all is an unknown token
        lengths = np.fromiter(map(len, numbers), "int32", len(numbers))
        values = np.fromiter(
            (number for row in numbers for number in row), "int32", int(lengths.sum())
        )
        return Ragged(values, lengths, cut)

    def decode(self, numbers):
        """The text of each row of subword numbers `(N, T)`; padding and unknown tokens stand for
        nothing.
        """
        rows = [[number for number in row if number > UNKNOWN] for row in numbers]
        return [text.removeprefix(" ") for text in self._tokenizer.decode_batch(rows)]

    def spans(self, text):
        """Where each token stands in a text, `[(start, end), ...]` in characters; as many as
        `encode` gives.
        """
        return self._tokenizer.encode(text).offsets[: self.max_length] or [(0, len(text))]

    def stored(self):
        """The tokenizer as a dict that JSON can hold."""
        stored = {
            "kind": self.kind,
            "max_length": self.max_length,
            "tokenizer": json.loads(self._tokenizer.to_str()),
        }
        return stored | ({"further_size": self.further_size} if self.further_size else {})

    @classmethod
    def loaded(cls, stored):
        """Brings back what `stored` gave, a `StoredTokenizer`. ValueError where it is damaged."""
        try:
            made = tokenizers.Tokenizer.from_str(json.dumps(stored["tokenizer"]))
        except Exception as error:  # the package raises no subclass of it
            raise ValueError(f"'tokenizer': {error}") from None
        made.no_padding()
        made.no_truncation()
        names = made.get_vocab()
        if [names.get(name) for name in _NAMES] != [PADDING, UNKNOWN]:
            raise ValueError(f"'tokenizer' must begin with the tokens {', '.join(_NAMES)}")
        if sorted(names.values()) != list(range(len(names))):
            raise ValueError("'tokenizer' must number its tokens from 0 without a gap")
        return cls(made, stored["kind"], stored["max_length"], stored.get("further_size", 0))


@contextlib.contextmanager
def _unicode_checked(texts):
    """Where the block fails for a text that UTF-8 cannot write, a ValueError says which.

    Half of a surrogate pair stands in JSON as an escape, and in the words of a command line for a
    byte that is not UTF-8.
    """
    try:
        yield
    except Exception:  # what `tokenizers` raises is a TypeError or an Exception itself
        for number, text in enumerate(texts, start=1):
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise ValueError(
                    f"Text {number} is not valid Unicode: it holds {text[error.start]!r}, a byte "
                    f"that is not UTF-8 or half a character. Received: {text!r:.80}"
                ) from None
        raise


def kind_of(texts):
    """What "auto" means for these texts: characters where a text has fewer than 3 words on average.

    So names are read by characters, and so is text that is written without spaces between words.
    """
    words = np.mean([len(text.split()) for text in texts])
    return "characters" if words < _SHORT_TEXT else "words"


def learn_tokenizer(
    texts, kind="auto", vocabulary_size=20_000, minimum_count=2, lowercase=None, max_length=512
):
    """Makes the tokenizer of a set of texts.

    Args:
        texts: The training texts.
        kind: "words", "characters", "subwords" (byte-level BPE, Sennrich et al. 2016, which knows
            every text; each digit by itself), or "auto"; see `kind_of`.
        vocabulary_size: Most tokens, the commonest ones.
        minimum_count: Times that a token must occur to be known.
        lowercase: Whether to read all in lower case. None: words alone.
        max_length: Tokens after which a text is cut.
    Returns: `Tokenizer`.
    """

    kind = kind_of(texts) if kind == "auto" else kind
    lowercase = kind == "words" if lowercase is None else lowercase
    pattern = _WORDS if kind == "words" else r"[\s\S]"
    steps = [normalizers.NFC()]
    if kind == "words":  # spaces around Chinese characters
        steps.append(
            normalizers.BertNormalizer(clean_text=True, strip_accents=False, lowercase=False)
        )
    steps += [normalizers.Lowercase()] if lowercase else []
    # the first word like any other
    steps += [normalizers.Prepend(" ")] if kind == "subwords" else []
    options = {
        "vocab_size": vocabulary_size,
        "min_frequency": minimum_count,
        "special_tokens": _NAMES,
        "show_progress": False,
    }
    if kind == "subwords":
        made = tokenizers.Tokenizer(models.BPE())
        parts = [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
        made.pre_tokenizer, made.decoder = pre_tokenizers.Sequence(parts), decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **options
        )
    else:
        made = tokenizers.Tokenizer(models.WordLevel(unk_token=_NAMES[UNKNOWN]))
        behaviour = ("removed", True) if kind == "words" else ("isolated", False)
        made.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(pattern), *behaviour)
        trainer = trainers.WordLevelTrainer(**options)
    made.normalizer = normalizers.Sequence(steps)
    with _unicode_checked(texts):
        made.train_from_iterator(texts, trainer)
    return Tokenizer(made, kind, max_length)
