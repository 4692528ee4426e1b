"""BLEU and chrF of translations."""

import sacrebleu

# of sacreBLEU, for languages written without spaces
_TOKENIZERS = {"zh": "zh", "ja": "char", "th": "char", "lo": "char", "km": "char", "my": "char"}


class Bleu:
    """BLEU and chrF by sacreBLEU (Post 2018): raw text against raw text, 0 to 100.

    Args:
        language: Code of the language, which says how words are found: Chinese has a tokenizer of
            its own, and languages written without spaces are read by characters. Defaults to none:
            words as in English.
    """

    name_of_each = "chrF"

    def __init__(self, language=None):
        self._bleu = sacrebleu.BLEU(tokenize=tokenizer_for(language))
        self._chrf = sacrebleu.CHRF()

    def main(self, ours, references):
        """BLEU of all sentences together."""
        return self._bleu.corpus_score(ours, [references]).score

    def figures(self, ours, references):
        """`bleu`, `chrf`, and `bleu_signature`: what BLEU was measured with, as sacreBLEU writes
        it.
        """
        return {
            "bleu": self.main(ours, references),
            "chrf": self._chrf.corpus_score(ours, [references]).score,
            "bleu_signature": str(self._bleu.get_signature()),
        }

    def of_each(self, ours, references):
        """The chrF of each sentence, which says more of a single short one than BLEU."""
        pairs = zip(ours, references, strict=True)
        return [self._chrf.sentence_score(text, [reference]).score for text, reference in pairs]


def tokenizer_for(language):
    """The name of sacreBLEU's tokenizer for the code of a language, such as "zh_Hant"; None is
    read as English.
    """
    return _TOKENIZERS.get((language or "").replace("-", "_").split("_")[0], "13a")
