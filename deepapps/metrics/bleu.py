"""BLEU and chrF of translations."""

import functools
import logging

import sacrebleu

from deepapps.metrics.scripts import SPACELESS, scripts_of

_logger = logging.getLogger(__name__)

# codes of languages written without spaces, by the tokenizer of sacreBLEU
_CODES = {
    "zh": "zh zho chi cmn yue wuu nan hak gan hsn lzh cjy cdo",
    "char": "ja jpn th tha lo lao km khm my mya bur dz dzo bo bod tib ii iii shn khb",
}
_TOKENIZERS = {code: name for name, codes in _CODES.items() for code in codes.split()}


class Bleu:
    """BLEU and chrF by sacreBLEU (Post 2018): raw text against raw text, 0 to 100.

    Args:
        language: Code of the language, which says how words are found: Chinese has a tokenizer of
            its own, and languages written without spaces are read by characters. Defaults to what
            the script of the first references says.
    """

    name_of_each = "chrF"

    def __init__(self, language=None):
        self._language, self._bleu = language, None
        self._chrf = sacrebleu.CHRF()

    def main(self, ours, references):
        """BLEU of all sentences together."""
        return self._bleu_for(references).corpus_score(ours, [references]).score

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

    def _bleu_for(self, references):
        if self._bleu is None:
            self._bleu = sacrebleu.BLEU(tokenize=tokenizer_for(self._language, references))
        return self._bleu


def tokenizer_for(language, texts):
    """The name of sacreBLEU's tokenizer for a language.

    Args:
        language: Its code, such as "zh_Hant", or None.
        texts: Texts of it. Where the code does not say that there are no spaces, their script does.
    """
    code = (language or "").replace("-", "_").split("_")[0].lower()
    if code in _TOKENIZERS:
        return _TOKENIZERS[code]
    scripts = scripts_of(texts)
    spaceless = {script: share for script, share in scripts.items() if script in SPACELESS}
    if sum(spaceless.values()) <= 0.5:
        return "13a"
    is_chinese = spaceless.get("CJK", 0) > 0.95 * sum(spaceless.values())  # Japanese has kana
    name = "zh" if is_chinese else "char"
    _say(next(iter(spaceless)), language, name)
    return name


@functools.cache
def _say(script, language, name):
    """Once in a process."""
    _logger.warning(
        "The references are written without spaces (%s) and the target language is %s: words are "
        "found by sacreBLEU's tokenizer %r. `target_language` settles it.",
        script.lower().replace("cjk", "CJK"),
        "not given" if language is None else repr(language),
        name,
    )
