"""Translation: settings and task."""

import dataclasses
import logging

from deepapps.files import read_json, write_json
from deepapps.settings import Settings, setting
from deepapps.tasks.task import Task
from deepapps.training.settings import FOR_SEQUENCES

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TranslatorSettings(Settings):
    """What a translator learns from, and with which network."""

    data: str = setting(
        "sample",
        "Training pairs: `sample`, `tfds:NAME`, a tab-separated .tsv or .txt file, or SOURCE_FILE:TARGET_FILE.",
    )
    validation: str | None = setting(None, "Validation pairs; default: 10 % of the training pairs.")
    test: str | None = setting(None, "Test pairs; default: those that come with the data, else 10 %.")
    reverse: bool = setting(False, "Swap source and target of all data.")
    source_language: str | None = setting(None, "Locale of the source; the sample is in `en` by default.")
    target_language: str | None = setting(
        None, "Locale of the target, by which BLEU finds words; the sample is in `fr` by default."
    )
    skip_bad_lines: bool = setting(False, "Leave lines that cannot be used out, and say how many.")
    max_length: int = setting(
        128, "Subwords from which on a training pair is left out, and any other sentence cut.", minimum=2
    )
    max_ratio: float = setting(
        4.0,
        "Most times that one side of a training pair is longer, in subwords, where it has over 10.",
        minimum=1,
    )
    vocabulary: str = setting(
        "joint", "One vocabulary of subwords for both sides, or one for each.", choices=("joint", "separate")
    )
    vocabulary_size: int = setting(8_000, "Most subwords of a vocabulary.", minimum=300)
    batch_tokens: int | None = setting(
        None,
        "Most subwords of a training batch on its longer side, padding included; default: no bound.",
        minimum=1,
    )
    network: str = setting("attention-lstm", "Network to train.", choices=("attention-lstm", "transformer"))
    attention: str = setting(
        "bahdanau",
        "Attention of `attention-lstm`: before the step, or after it.",
        choices=("bahdanau", "luong"),
    )
    units: int = setting(256, "Width of the network and of the vectors of subwords.", minimum=2)
    depth: int | None = setting(
        None,
        "Layers of the encoder, and of the decoder of `transformer`; default: 1, of `transformer` 3.",
        minimum=1,
    )
    dropout: float = setting(0.1, "Share of outputs dropped in training.", minimum=0, maximum=0.9)
    label_smoothing: float = setting(
        0.1, "Share of a target spread over all subwords.", minimum=0, maximum=0.9
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TranslatingSettings(Settings):
    """How a trained translator finds its sentences."""

    beam: int = setting(4, "Beginnings of a sentence kept at each step; 1: greedy search.", minimum=1)
    length_penalty: float = setting(
        1.0, "The log-probability of a sentence is divided by its subwords to this power.", minimum=0
    )
    coverage_penalty: float = setting(
        0.0, "Weight of what is taken off where parts of the source are passed over.", minimum=0
    )
    no_repeat_ngram: int = setting(
        0, "Runs of this many subwords occur once at most; 0: no such rule.", minimum=0
    )
    prefix: str = setting("", "What every translation begins with.")
    temperature: float | None = setting(
        None, "Draw subwords at this temperature instead of searching.", above=0
    )
    top_k: int = setting(0, "Draw from this many of the likeliest subwords; 0: from all.", minimum=0)
    top_p: float = setting(
        1.0, "Draw from the likeliest subwords of this probability together.", above=0, maximum=1
    )
    seed: int = setting(0, "Seed of what is drawn.", minimum=0, maximum=2**31 - 1)


class Translation(Task):
    """What is a sentence in another language?

    Inputs are subword numbers of the sources `(B, Ts)` and of the beginnings of the targets `(B, Tt)`, targets the
    next subwords `(B, Tt)`, padded with 0; outputs logits `(B, Tt, vocabulary)`.
    """

    Settings, Answering = TranslatorSettings, TranslatingSettings
    name = "translator"
    monitor = "bleu"
    training = FOR_SEQUENCES | {"epochs": 10, "batch_size": 64}

    @staticmethod
    def space(hp):
        """Network, its width and depth, subwords, and how it is trained: a trial takes minutes on a laptop."""
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

    def data(self):
        from deepapps.data.pairs import load_pairs

        data = load_pairs(self.settings)
        self.encoder, self.left_out = data.encoder, data.left_out
        return data.splits

    def network(self):
        from deepapps.networks.translation import NETWORKS

        vocabularies = (self.encoder.source.size, self.encoder.target.size)
        return NETWORKS[self.settings.network](
            self.settings, vocabularies, self.settings.vocabulary == "joint"
        )

    def loss(self):
        from deepapps.losses import smoothed_tokens

        return smoothed_tokens(self.settings.label_smoothing)

    def metrics(self):
        import keras

        return [keras.metrics.SparseCategoricalAccuracy("token_accuracy")]

    def encode(self, raw):
        """Sentences as `Ragged` subword numbers: one string or a list."""
        return self.encoder.encode(raw)

    def answer(self, model, raw, progress=False, **settings):
        """The best translation of each sentence, its score, and the next best, best first."""
        from deepapps.translating import translate

        sources, settings = self.encode(raw), TranslatingSettings(**settings)
        if sources.cut:
            _logger.warning(
                "%d of %d sentences are cut to %d subwords.",
                sources.cut,
                len(sources),
                self.settings.max_length,
            )
        return translate(model, self.encoder, sources, settings, settings.beam, progress)

    def evaluate(self, model, source, **settings):
        from deepapps.evaluation import translation_figures
        from deepapps.translating import translate

        answers = translate(model, self.encoder, source.sources, TranslatingSettings(**settings))
        translations, references = (
            [answer["translation"] for answer in answers],
            [pair[1] for pair in source.raw],
        )
        language = self.settings.target_language
        return translation_figures(translations, references, source.kinds, language)

    def validate(self, model, source):
        """BLEU and exact match of greedy search, which is several times faster."""
        figures = self.evaluate(model, source, beam=1)
        return {name: figures[name] for name in ("bleu", "exact_match")}

    def evaluation_source(self, data):
        from deepapps.data.pairs import load_evaluation_pairs

        return load_evaluation_pairs(data, self.encoder, self.settings)

    def save(self, folder):
        write_json(folder / "encoder.json", self.encoder.stored())

    def load(self, folder):
        from deepapps.data.pair_encoder import PairEncoder

        try:
            self.encoder = PairEncoder.loaded(**read_json(folder / "encoder.json"))
        except (KeyError, TypeError):
            raise ValueError(f"{folder / 'encoder.json'}: is damaged.") from None
