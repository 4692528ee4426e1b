"""Sequence classification: settings and task."""

import dataclasses
import typing

import numpy as np

from deepapps.data.sequences.encoders import StoredEncoder, loaded_encoder, stored_encoder
from deepapps.data.sequences.load import (
    LearnedSequences,
    learn_sequences,
    load_evaluation_sequences,
    read_sequences,
    split_sequences,
)
from deepapps.data.sequences.series import SeriesEncoder
from deepapps.data.sequences.vectors import embedding_matrix
from deepapps.data.tables import TableSettings
from deepapps.files import PAGE_OR_PICTURE, blamed_on, read_json, write_json
from deepapps.metrics.heads import check_model
from deepapps.metrics.lengths import parts_by_length
from deepapps.networks import SEQUENCE_NETWORKS
from deepapps.settings import (
    DEEPEST,
    FOR_SEQUENCES,
    LARGEST_VOCABULARY,
    LONGEST,
    WIDEST,
    setting,
)
from deepapps.tasks.answers import class_answers, label_answers, probabilities_of
from deepapps.tasks.classifier import Classifier
from deepapps.typed_json import all_different


@dataclasses.dataclass(frozen=True, kw_only=True)
class SequenceSettings(TableSettings):
    """What a sequence classifier learns from, and with which network."""

    data: str = setting(
        "sample",
        "Training sequences: `sample`, `tfds:NAME`, a .tsv, .csv, .jsonl, .parquet or label-first "
        ".txt file, a folder with one sub-folder of texts for each class, or an .npz file.",
    )
    text_column: str | None = setting(
        None, "Column or key of the text, by name or number from 1; default: found."
    )
    label_column: str | None = setting(None, "Column or key of the label; default: found.")
    second_text_column: str | None = setting(None, "Column or key of the second text of a pair.")
    multi_label: bool = setting(False, "An example has any number of labels, separated by commas.")
    network: str = setting(
        "attention-lstm",
        "Network to train.",
        choices=tuple(SEQUENCE_NETWORKS),
    )
    tokens: str = setting(
        "auto",
        "What a text is read by; auto: characters where texts have under 3 words on average, else "
        "words.",
        choices=("auto", "words", "characters", "subwords"),
    )
    vocabulary_size: int = setting(
        20_000,
        "Most different tokens of the training texts, the commonest ones.",
        minimum=300,
        maximum=LARGEST_VOCABULARY,
    )
    minimum_count: int | None = setting(
        None,
        "Times that a token must occur in training to be known; default: 2, with `embeddings` 1.",
        minimum=1,
    )
    lowercase: bool | None = setting(None, "Read all in lower case; default: words alone.")
    max_length: int = setting(
        512,
        "Tokens, or steps of a series, after which the rest is cut.",
        minimum=1,
        maximum=LONGEST,
    )
    embeddings: str | None = setting(
        None,
        "Text file of word vectors, as GloVe and word2vec write; up to 100,000 of its words are "
        "known, too.",
    )
    embedding_size: int = setting(
        64,
        "Width of a token's vector, where none are given.",
        minimum=1,
        maximum=WIDEST,
    )
    ngrams: int | None = setting(
        None,
        "Runs of up to this many tokens have vectors, too; default: 4 of characters, 1, which is "
        "none, else.",
        minimum=1,
        maximum=8,
    )
    units: int = setting(
        96,
        "Width of the network: its states, or half as many filters of each size.",
        minimum=2,
        maximum=WIDEST,
    )
    depth: int | None = setting(
        None,
        "Layers; default: 1 recurrent one, 2 of `transformer`.",
        minimum=1,
        maximum=DEEPEST,
    )
    dropout: float = setting(0.5, "Share of outputs dropped in training.", minimum=0, maximum=0.9)
    embedding_dropout: float = setting(
        0.3, "Share of a token's vector dropped, the same at all steps.", minimum=0, maximum=0.9
    )
    word_dropout: float = setting(
        0.15, "Share of tokens made unknown in training.", minimum=0, maximum=0.9
    )
    label_smoothing: float = setting(
        0.1, "Share of a target spread over all classes.", minimum=0, maximum=0.9
    )
    top_k: int = setting(3, "The k of `top_k_accuracy`, in classes.", minimum=1)


class StoredLabels(typing.TypedDict):
    """What labels.json holds."""

    class_names: typing.Annotated[list[str], all_different]


class SequenceClassification(Classifier):
    """Which class does a text, a name or a time series belong to?

    Inputs are token numbers `(B, T)`, of pairs `(B, 2, T)`, or steps of series `(B, T, features)`,
    padded with 0; targets int32 class indices `(B,)`, or float32 `(B, classes)` of 0 and 1; outputs
    logits `(B, classes)`.
    """

    Settings = SequenceSettings
    name = "sequence"
    explanations = PAGE_OR_PICTURE
    files = ("labels.json", "encoder.json")
    training = FOR_SEQUENCES | {"epochs": 22, "batch_size": 128}

    @staticmethod
    def space(hp):
        """Network, its width, dropout of three kinds, and how it is trained: for an hour or so
        on a laptop.
        """
        return {
            "network": hp.Choice("network", ["attention-lstm", "gru", "cnn"]),
            "units": hp.Choice("units", [32, 64, 128], default=64),
            "embedding_size": hp.Choice("embedding_size", [32, 64, 128], default=64),
            "learning_rate": hp.Float("learning_rate", 5e-4, 1e-2, sampling="log", default=3e-3),
            "batch_size": hp.Choice("batch_size", [32, 64, 128], default=128),
            "dropout": hp.Float("dropout", 0.1, 0.7, step=0.1, default=0.5),
            "word_dropout": hp.Float("word_dropout", 0.0, 0.3, step=0.05, default=0.15),
            "label_smoothing": hp.Choice("label_smoothing", [0.0, 0.05, 0.1], default=0.1),
        }

    @property
    def encoder(self):
        """The `TextEncoder` or `SeriesEncoder` of the inputs."""
        return self.learned.encoder

    def read(self):
        return read_sequences(self.settings)

    def learn(self, raw):
        return learn_sequences(raw, self.settings)

    def split(self, raw):
        return split_sequences(raw, self.learned, self.settings)

    def network(self):
        form = self.encoder.form()
        if self.settings.embeddings is not None:
            form["vectors"] = self._vectors()
        return SEQUENCE_NETWORKS[self.settings.network](
            self.settings, len(self.class_names), **form
        )

    def loss(self):
        return self._losses.smoothed(self.settings.label_smoothing, self.settings.multi_label)

    def metrics(self):
        return [self._losses.accuracy(self.settings.multi_label)]

    @property
    def input_kind(self):
        if self._is_series:
            return "series"
        return "pair" if self.encoder.pairs else "text"

    def example_input(self):
        series = (
            np.zeros((3, len(self.encoder.mean)), "float32")
            if self.input_kind == "series"
            else None
        )
        return {"series": series, "text": "a text", "pair": ("a text", "another")}[self.input_kind]

    def check_model(self, model):
        inputs = {"series": (None, len(self.encoder.mean) + 1)} if self._is_series else {}
        inputs |= {"text": (None,), "pair": (2, None)}
        check_model(model, inputs[self.input_kind], (len(self.class_names),))
        reader = next((layer for layer in model.layers if layer.name == "encoder"), model)
        sizes = {layer.name: getattr(layer, "input_dim", 0) for layer in reader.layers}
        if not self._is_series and sizes.get("embedding") != self.encoder.tokenizer.own_size:
            raise ValueError(
                f"its model has vectors of {sizes.get('embedding', 0)} tokens, and the Run needs "
                f"{self.encoder.tokenizer.own_size}"
            )

    @property
    def _is_series(self):
        return isinstance(self.encoder, SeriesEncoder)

    def encode(self, raw):
        """Raw inputs as `Ragged`: texts, pairs of texts, or series `(T, F)`; one or a list."""
        return self.encoder.encode(raw)

    def decode(self, outputs):
        """The label, or the labels, and the probabilities of each row of logits."""
        answers = label_answers if self.settings.multi_label else class_answers
        return answers(self._probabilities(outputs), self.class_names)

    def explain(self, predictor, raw, target=None):
        """Integrated gradients and attention of a text, a `TextExplanation`."""
        if self.input_kind == "series":
            raise ValueError("Texts can be explained, and series cannot.")
        return self._explanations.explain_text(
            predictor.model, self.encoder, raw, self.class_names, target, self._probabilities
        )

    @property
    def _explanations(self):
        from deepapps.inference import text_explanation  # Keras

        return text_explanation

    def measure(self, outputs, targets, source):
        from deepapps.metrics import classification  # scikit-learn

        probabilities = self._probabilities(outputs)
        if self.settings.multi_label:
            figures = classification.multi_label_figures(probabilities, targets, self.class_names)
        else:
            figures = classification.classification_figures(
                probabilities, targets, self.class_names, self.settings.top_k
            )
            right, lengths = outputs.argmax(axis=-1) == targets, source.inputs.sizes
            figures["by_length"] = parts_by_length(lengths, lambda part: float(right[part].mean()))
        return figures | self.encoder.figures(source.inputs)

    def examples(self, predictor, source, figures):
        """The worst mistakes, with their texts and the tokens that got the most attention."""
        mistakes = figures.get("mistakes", ())
        return [
            m | {"text": self._shown(predictor.model, source, m["index"])}
            for m in mistakes
            if source.raw
        ]

    def sections(self, figures, examples, folder):
        if self.settings.multi_label:
            return [self._pages.classes_section(figures.get("per_class"))]
        length = self._pages.length_section(figures.get("by_length"))
        return [*self._pages.classifier_sections(figures, examples, folder), length]

    def evaluation_source(self, data):
        return load_evaluation_sequences(data, self.learned, self.settings)

    def save(self, folder):
        write_json(folder / "labels.json", {"class_names": self.class_names})
        write_json(folder / "encoder.json", stored_encoder(self.encoder))

    def load(self, folder):
        labels = read_json(folder / "labels.json", StoredLabels)
        encoder = read_json(folder / "encoder.json", StoredEncoder)
        with blamed_on(folder / "encoder.json"):
            self.learned = LearnedSequences(labels["class_names"], loaded_encoder(encoder))

    def _probabilities(self, logits):
        return probabilities_of(logits, self.settings.multi_label)

    def _shown(self, model, source, index, most=3):
        """A text as the report shows it; of a series how long it is."""
        raw = source.raw[index]
        if self.input_kind == "series":
            return f"{len(raw)} steps"
        texts = self.encoder.texts_of(raw)
        tokens = source.inputs.padded(np.array([index]))
        weights = self._explanations.attention_weights(
            model, tokens[0] if self.encoder.pairs else tokens
        )
        shown = " | ".join(texts)
        if weights is None:
            return shown
        spans = [(text, *span) for text in texts for span in self.encoder.tokenizer.spans(text)]
        lengths = np.atleast_1d(source.inputs.lengths[index])
        shares = np.concatenate([row[:n] for row, n in zip(weights, lengths, strict=True)])
        heaviest = np.argsort(-shares, kind="stable")[:most]
        words = (
            f"“{spans[at][0][spans[at][1] : spans[at][2]]}” {shares[at]:.2f}" for at in heaviest
        )
        return f"{shown} (most attention: {', '.join(words)})"

    def _vectors(self):
        """The vectors of the file in the settings, of the tokens and the further words."""
        if not hasattr(self.encoder, "tokenizer"):
            raise ValueError("`embeddings` are of words: they do not fit series.")
        return embedding_matrix(self.settings.embeddings, self.encoder.tokenizer)
