"""Translation: settings and task."""

import dataclasses
import logging

import numpy as np

from deepapps.data.pairs.encoder import PairEncoder, StoredPairs
from deepapps.data.pairs.load import learn_pairs, load_evaluation_pairs, read_pairs_of, split_pairs
from deepapps.data.tables import TableSettings
from deepapps.files import PAGE_OR_PICTURE, blamed_on, read_json, write_json
from deepapps.metrics import SENTENCE_METRICS
from deepapps.metrics.sentences import exact_matches, sentence_figures
from deepapps.networks import TRANSLATION_NETWORKS
from deepapps.settings import (
    DEEPEST,
    FOR_SEQUENCES,
    LARGEST_VOCABULARY,
    LONGEST,
    WIDEST,
    Settings,
    setting,
)
from deepapps.task import Task

# of the sources, ordered by words, those here are aligned in the report
ALIGNED = (0.5, 0.75, 0.95)
_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TranslatorSettings(TableSettings):
    """What a translator learns from, and with which network."""

    data: str | None = setting(
        "sample",
        "Training pairs: `sample`, `tfds:NAME`, a .tsv, .txt, .csv, .jsonl or .parquet file, or "
        "SOURCE_FILE:TARGET_FILE.",
    )
    reverse: bool = setting(False, "Swap source and target of all data.")
    source_language: str | None = setting(
        None, "Locale of the source; the sample is in `en` by default."
    )
    target_language: str | None = setting(
        None, "Locale of the target, by which BLEU finds words; the sample is in `fr` by default."
    )
    source_column: str | None = setting(
        None, "Column or key of the source, by name or number from 1; default: found."
    )
    target_column: str | None = setting(None, "Column or key of the target; default: found.")
    max_length: int = setting(
        128,
        "Subwords from which on a training pair is left out, and any other sentence cut.",
        minimum=2,
        maximum=LONGEST,
    )
    cut_sources: bool = setting(
        False, "Cut sources of training pairs that are too long, in place of leaving the pairs out."
    )
    max_ratio: float | None = setting(
        4.0,
        "Most times that one side of a training pair is longer, in subwords, where it has over 10.",
        minimum=1,
    )
    vocabulary: str = setting(
        "joint",
        "One vocabulary of subwords for both sides, or one for each.",
        choices=("joint", "separate"),
    )
    vocabulary_size: int = setting(
        8_000,
        "Most subwords of a vocabulary.",
        minimum=300,
        maximum=LARGEST_VOCABULARY,
    )
    batch_tokens: int | None = setting(
        None,
        "Most subwords of a training batch on its longer side, padding included; default: no "
        "bound.",
        minimum=1,
    )
    network: str = setting(
        "attention-lstm", "Network to train.", choices=tuple(TRANSLATION_NETWORKS)
    )
    attention: str = setting(
        "bahdanau",
        "Attention of `attention-lstm`: before the step, or after it.",
        choices=("bahdanau", "luong"),
    )
    units: int = setting(
        256,
        "Width of the network and of the vectors of subwords.",
        minimum=2,
        maximum=WIDEST,
    )
    depth: int | None = setting(
        None,
        "Layers of the encoder, and of the decoder of `transformer`; default: 1, of `transformer` "
        "3.",
        minimum=1,
        maximum=DEEPEST,
    )
    dropout: float = setting(0.1, "Share of outputs dropped in training.", minimum=0, maximum=0.9)
    label_smoothing: float = setting(
        0.1, "Share of a target spread over all subwords.", minimum=0, maximum=0.9
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TranslatingSettings(Settings):
    """How a trained translator finds its sentences."""

    beam: int | None = setting(
        None,
        "Beginnings of a sentence kept at each step; 1: greedy search; default: 4, with "
        "`temperature` 1.",
        minimum=1,
        maximum=1000,  # each of them has a state of its own
    )
    length_penalty: float = setting(
        1.0,
        "The log-probability of a sentence is divided by its subwords to this power.",
        minimum=0,
        maximum=100,
    )
    coverage_penalty: float = setting(
        0.0,
        "Weight of what is taken off where parts of the source are passed over.",
        minimum=0,
        maximum=100,
    )
    no_repeat_ngram: int = setting(
        0, "Runs of this many subwords occur once at most; 0: no such rule.", minimum=0
    )
    prefix: str = setting("", "What every translation begins with.")
    temperature: float | None = setting(
        None, "Draw subwords at this temperature instead of searching.", above=0
    )
    top_k: int = setting(
        0, "Draw from this many of the likeliest subwords; 0: from all.", minimum=0
    )
    top_p: float = setting(
        1.0, "Draw from the likeliest subwords of this probability together.", above=0, maximum=1
    )
    seed: int = setting(0, "Seed of what is drawn.", minimum=0, maximum=2**31 - 1)


class Translation(Task):
    """What is a sentence in another language?

    Inputs are subword numbers of the sources `(B, Ts)` and of the beginnings of the targets `(B,
    Tt)`, targets the next subwords `(B, Tt)`, padded with 0; outputs logits `(B, Tt, vocabulary)`.
    """

    Settings, Answering = TranslatorSettings, TranslatingSettings
    name = "translator"
    monitor = "bleu"
    answer_name = "translation"
    input_kind, explanations = "text", PAGE_OR_PICTURE
    files = ("encoder.json",)
    # an answer has at most this many times the subwords of its source, and these more
    longest = (3, 20)
    training = FOR_SEQUENCES | {"epochs": 10, "batch_size": 64}

    @staticmethod
    def space(hp):
        """Network, its width and depth, subwords, and how it is trained: a trial takes minutes
        on a laptop.
        """
        return {
            "network": hp.Choice("network", ["attention-lstm", "transformer"]),
            "units": hp.Choice("units", [128, 192, 256], default=256),
            "depth": hp.Choice("depth", [1, 2]),
            "vocabulary_size": hp.Choice("vocabulary_size", [2_000, 4_000, 8_000], default=8_000),
            "learning_rate": hp.Float("learning_rate", 5e-4, 1e-2, sampling="log", default=3e-3),
            "batch_size": hp.Choice("batch_size", [32, 64, 128], default=64),
            "dropout": hp.Float("dropout", 0.0, 0.4, step=0.1, default=0.1),
            "label_smoothing": hp.Choice("label_smoothing", [0.0, 0.1], default=0.1),
        }

    @property
    def encoder(self):
        """The `PairEncoder`, which is what a translator learns from its data."""
        return self.learned

    def read(self):
        return read_pairs_of(self.settings)

    def learn(self, raw):
        return learn_pairs(raw, self.settings)

    def split(self, raw):
        return split_pairs(raw, self.encoder, self.settings)

    def network(self):
        vocabularies = (self.encoder.source.size, self.encoder.target.size)
        return TRANSLATION_NETWORKS[self.settings.network](
            self.settings, vocabularies, self.settings.vocabulary == "joint"
        )

    def loss(self):
        return self._losses.smoothed_tokens(self.settings.label_smoothing)

    def metrics(self):
        return [self._losses.token_accuracy()]

    @property
    def _losses(self):
        from deepapps.metrics import losses  # Keras

        return losses

    def example_input(self):
        return "a text"

    def check_model(self, model):
        vocabularies = [self.encoder.source.size, self.encoder.target.size]
        if getattr(model, "vocabularies", None) != vocabularies:
            raise ValueError(f"its model is no translator of {vocabularies} subwords")

    def encode(self, raw):
        """Sentences as `Ragged` subword numbers: one string or a list."""
        return self.encoder.encode(raw)

    def answer(self, predictor, raw, progress=False, **settings):
        """The best translation of each sentence, its score, and the next best, best first."""
        sources = self.encode(raw)
        if sources.cut:
            _logger.warning(
                "%d of %d sentences are cut to %d subwords.",
                sources.cut,
                len(sources),
                self.settings.max_length,
            )
        found = self._search(predictor, sources, TranslatingSettings(**settings), progress=progress)
        return [
            self._named(best) | {"alternatives": [self._named(other) for other in others]}
            for best, *others in found
        ]

    def explain(self, predictor, raw, target=None):
        """The `Alignment` of a sentence with `target`, by default the model's own translation."""
        from deepapps.inference.alignment import align

        if not isinstance(raw, str):
            raise ValueError(f"One text is explained at a time. Received: {raw!r:.80}")
        if target is None:
            target = self._search(predictor, self.encode(raw), TranslatingSettings(), wanted=1)[0][
                0
            ].text
        return align(predictor.model, self.encoder, raw, target)

    def evaluate(self, predictor, source, **settings):
        ours, references = self._pairs(predictor, source, **settings)
        return sentence_figures(
            self._metric(), ours, references, source.sources.sizes, source.kinds
        )

    def validate(self, predictor, source):
        """The main figure and exact match of greedy search, which is several times faster."""
        pairs = self._pairs(predictor, source, beam=1)
        return {
            self.monitor: self._metric().main(*pairs),
            "exact_match": float(exact_matches(*pairs).mean()),
        }

    def examples(self, predictor, source, figures):
        """The best and the worst translations, and alignments of some of middling to great
        length.
        """
        samples = [
            {"group": group, "source": pair[0], "reference": pair[1], **sample}
            for group in ("worst", "best")
            for sample in figures[group]
            for pair in [source.raw[sample["index"]]]
        ]
        order = np.lexsort((source.sources.sizes, [len(text.split()) for text, _ in source.raw]))
        places = dict.fromkeys(order[int(share * (len(order) - 1))] for share in ALIGNED)
        aligned = [self.explain(predictor, source.raw[place][0]).stored() for place in places]
        return samples + [{"group": "alignment", **one} for one in aligned]

    def sections(self, figures, examples, folder):
        from deepapps.reporting.sentences import sentence_sections

        return sentence_sections(
            figures, examples, folder, self.monitor, self._metric().name_of_each
        )

    def evaluation_source(self, data):
        return load_evaluation_pairs(data, self.encoder, self.settings)

    def save(self, folder):
        write_json(folder / "encoder.json", self.encoder.stored())

    def load(self, folder):
        stored = read_json(folder / "encoder.json", StoredPairs)
        with blamed_on(folder / "encoder.json"):
            self.learned = PairEncoder.loaded(stored["source"], stored["target"])

    def _search(self, predictor, sources, settings, wanted=None, progress=False):
        from deepapps.inference.translating import translate

        return translate(predictor, self.encoder, sources, settings, self.longest, wanted, progress)

    def _pairs(self, predictor, source, **settings):
        """What the model writes for a source, and the references."""
        found = self._search(predictor, source.sources, TranslatingSettings(**settings), wanted=1)
        return [best.text for best, *_ in found], [reference for _, reference in source.raw]

    def _named(self, sentence):
        return {self.answer_name: sentence.text, "score": sentence.score}

    def _metric(self):
        return SENTENCE_METRICS[self.monitor](self.settings.target_language)
