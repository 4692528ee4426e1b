"""Made the data and the Runs in this folder, with deepapps 0.1.0 at commit f5ecbc3.

Never run it again with a later version: the README here says why. It was called as

    PYTHONPATH=tests python tests/data/runs-0.1/make.py [NAME...]
"""

import itertools
import json
import os
import pathlib
import random
import shutil
import sys
import zipfile

import keras
import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps
from runs_of_0_1 import FOLDER, plain, raw_inputs

import deepapps
from deepapps import layers

# whose model.keras is as training wrote it; from the others the state of the optimizer, two thirds of it, is taken
AS_TRAINED = ("image", "words", "pairs-of-texts", "series")
COMMON = {"progress": False, "strategy": "none"}
SMALL_TEXTS = {
    "units": 8, "embedding_size": 6, "batch_size": 16, "epochs": 12, "learning_rate": 0.02, "dropout": 0.1, "word_dropout": 0.1,
    "embedding_dropout": 0.1, "label_smoothing": 0.05, "ema_momentum": 0.9,
}  # fmt: skip
SMALL_PAIRS = {
    "units": 16, "vocabulary_size": 300, "batch_size": 16, "epochs": 24, "learning_rate": 0.02, "dropout": 0.0,
    "label_smoothing": 0.05, "ema_momentum": 0.9,
}  # fmt: skip


def write_data():
    """Writes the data from fixed seeds, and files of words that are written here."""
    pathlib.Path("data").mkdir(exist_ok=True)
    for write in (
        write_digits, write_shapes, write_reviews, write_vectors, write_names, write_questions, write_pairs, write_topics,
        write_series, write_phrases, write_stories,
    ):  # fmt: skip
        write(random.Random(0))


def write_lines(name, lines):
    pathlib.Path("data", name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_digits(draw):
    """Printed digits of 28 x 28 pixels, the even ones dark on bright."""
    for digit in range(6):
        image = Image.new("L", (28, 28))
        ImageDraw.Draw(image).text((8, 2), str(digit), 255, ImageFont.load_default(22))
        path = pathlib.Path("data", "digits", f"{digit}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        (image if digit % 2 else ImageOps.invert(image)).save(path, optimize=True)


def write_shapes(draw):
    """Discs, frames and stripes of 16 x 16 pixels in any two colors."""
    y, x = np.mgrid[:16, :16]
    for index in range(24):
        row, column, size = draw.randint(5, 10), draw.randint(5, 10), draw.randint(3, 5)
        farthest = np.maximum(abs(y - row), abs(x - column))
        drawn = {
            "disc": (y - row) ** 2 + (x - column) ** 2 <= size**2,
            "frame": (farthest <= size) & (farthest >= size - 1),
            "stripes": (x + draw.randint(0, 3)) % 4 < 2,
        }
        for name, inside in drawn.items():
            back, front = ([draw.randrange(low, low + 100) for _ in "rgb"] for low in (0, 150))
            pixels = np.where(inside[..., None], front, back).astype("uint8")
            path = pathlib.Path("data", "shapes", name, f"{index}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).quantize(2).save(path, optimize=True)


GOOD, BAD = ("joy", "wit", "charm", "delight"), ("dull", "tired", "boring", "mess")
NEUTRAL = ("a", "the", "film", "story", "music", "of", "start", "end", "was", ",")


def write_reviews(draw):
    lines = []
    for index in range(240):
        words = draw.choices(NEUTRAL, k=draw.randint(2, 6))
        words += [draw.choice(GOOD)] * (index % 3 != 1) + [draw.choice(BAD)] * (index % 3 != 0)
        draw.shuffle(words)
        lines.append(f"{' '.join(words)}\t{('good', 'bad', 'mixed')[index % 3]}")
    write_lines("reviews.tsv", lines)


def write_vectors(draw):
    """Vectors of the words above and of two that no review has."""
    lines = []
    for words, middle in ((NEUTRAL, 0), ((*GOOD, "superb"), 1), ((*BAD, "tedious"), -1)):
        for word in words:
            numbers = (round(middle * sign + draw.gauss(0, 0.3), 2) for sign in (1, -1, 1, 0, 0))
            lines.append(f"{word} {' '.join(map(str, numbers))}")
    write_lines("vectors.txt", lines)


def write_names(draw):
    """Names in four languages that there are not."""
    parts = {
        "east": ("Var no mi dra lek pol", "ski vić wicz"),
        "south": ("Bé lan ca mo ri sol", "tine elle ino"),
        "north": ("Tho rø ha gun bjar ei", "sen dal vik"),
        "lake": ("Kat my pää ju ka ilo", "llä nen mäki"),
    }
    names = {}
    for _, (language, (middles, ends)) in itertools.product(range(60), parts.items()):
        name = "".join(draw.choices(middles.split(), k=draw.randint(1, 3))) + draw.choice(ends.split())
        names[name.capitalize()] = language
    write_lines("names.tsv", (f"{name}\t{language}" for name, language in names.items()))


def write_questions(draw):
    begins = {
        "time": ("when did", "how long did"),
        "place": ("where did", "from where did"),
        "person": ("who saw", "whom did"),
    }
    lines = []
    for index in range(150):
        label = list(begins)[index % 3]
        thing = f"{draw.choice(('old', 'new', 'last', 'slow'))} {draw.choice(('train', 'bridge', 'river', 'king'))}"
        lines.append(
            f"{label} {draw.choice(begins[label])} the {thing} {draw.choice(('leave', 'stay', 'come'))} ?"
        )
    write_lines("questions.txt", lines)


ANIMALS = ("dog", "cat", "horse", "owl")


def write_pairs(draw):
    lines = ["question,answer,label"]
    for index in range(160):
        one, other = draw.sample(ANIMALS, 2)
        other = one if index % 2 else other
        question = f"{draw.choice(('where is', 'how is', 'who saw'))} the {one} ?"
        lines.append(
            f'"{question}","the {other}, it {draw.choice(("runs", "sleeps", "eats"))}",{("other", "same")[index % 2]}'
        )
    write_lines("pairs.csv", lines)


def write_topics(draw):
    words = {"money": ("bank", "price"), "music": ("song", "choir"), "sport": ("team", "goal")}
    lines = []
    for index in range(160):
        labels = [label for place, label in enumerate(words) if (index % 7 + 1) >> place & 1]
        text = [draw.choice(words[label]) for label in labels] + draw.choices(("the", "a", "and", "new"), k=3)
        draw.shuffle(text)
        lines.append(json.dumps({"text": " ".join(text), "labels": labels}))
    write_lines("topics.jsonl", lines)


def write_series(draw):
    """Waves, rises and falls of two features and 6 to 12 steps; the shorter ones end in NaN."""
    series = np.full((150, 12, 2), np.nan, "float32")
    for index, steps in enumerate(draw.choices(range(6, 13), k=len(series))):
        times = np.arange(steps)
        main = (np.sin(2 * times + draw.random()), times / 6 - 1, 1 - times / 6)[index % 3]
        noise = [[draw.gauss(0, 0.3) for _ in times] for _ in range(2)]
        series[index, :steps] = np.round(np.stack([main, 0 * main]) + noise, 2).T
    labels = np.arange(len(series)) % 3
    np.savez_compressed("data/series.npz", x=series, y=labels, class_names=["wave", "rise", "fall"])


FRENCH = {"the": "la", "a": "un", "two": "deux", "old": "vieux", "red": "rouge", "big": "grand"}
NOUNS = {"dog": "chien", "dogs": "chiens", "cat": "chat", "house": "maison", "bird": "oiseau"}
VERBS = {"sleeps": "dort", "runs": "court", "sings": "chante"}


def write_phrases(draw):
    every = FRENCH | NOUNS | VERBS
    phrases = {}
    while len(phrases) < 320:
        words = [draw.choice(("the", "a", "two")), *draw.sample(("old", "red", "big"), draw.randint(0, 2))]
        words += [draw.choice(list(NOUNS)), *draw.sample(list(VERBS), draw.randint(0, 1))]
        phrases[" ".join(words)] = " ".join(every[word] for word in words)
    write_lines("phrases.tsv", (f"{english}\t{french}" for english, french in phrases.items()))


def write_stories(draw):
    """Sentences, of which the first one is told in three words."""
    lines = {}
    while len(lines) < 260:
        noun, verb = draw.choice(list(NOUNS)), draw.choice(list(VERBS))
        kind, where = (
            draw.choice(("old", "red", "big")),
            draw.choice(("in the house", "to the river", "at night")),
        )
        more = " ".join(draw.sample(("it is late .", "it is cold .", "a cat sleeps ."), draw.randint(0, 2)))
        lines[f"{draw.choice(('the', 'a'))} {kind} {noun} {verb} {where} . {more}".strip()] = (
            f"{kind} {noun} {verb}"
        )
    write_lines("stories.tsv", (f"{text}\t{summary}" for text, summary in lines.items()))


def every_layer():
    """A model with each public layer of `deepapps.layers`, from numbers of tokens `(B, 8)` to three logits."""
    tokens = keras.Input((8,), dtype="int32")
    x = layers.TokenDropout(0.1)(tokens)
    x = keras.layers.Embedding(12, 4)(x) + layers.NGramEmbedding(3, 4, buckets=16)(x)
    x = layers.LearnedPositions(8)(layers.SinusoidalPositions()(x))
    memory = keras.layers.Dense(4)(x)
    for attention in (
        layers.AdditiveAttention(3),
        layers.ConcatAttention(3),
        layers.DotProductAttention(),
        layers.ScaledDotProductAttention(sliding_window=3),
        layers.MultiHeadAttention(2, 4, position_encoding=layers.RotaryPositions()),
    ):
        x = x + attention(x, memory)
    x = layers.TransformerEncoder(2, 4)(x)
    x = layers.TransformerDecoder(2, 4, position_encoding=layers.RotaryPositions())(x, memory)
    read = [
        layers.AttentionLSTM(4, return_sequences=True)(x, memory),
        layers.LuongLSTM(4, layers.ScaledDotProductAttention(), return_sequences=True)(x, memory),
        layers.AttentionGRU(4, return_sequences=True)(x, memory),
        layers.LSTMN(4, return_sequences=True)(x),
        keras.layers.Bidirectional(layers.LSTM(2, return_sequences=True))(x),
        layers.AttentionRNN(layers.AttentionGRUCell(4), return_sequences=True)(x, memory),
    ]
    pooled = layers.AttentionPooling()(keras.layers.Concatenate()(read))
    return keras.Model(tokens, keras.layers.Dense(3)(pooled))


def tokens_and_labels():
    """Tokens of which 1, 2 and 3 stand for the classes: the label is the commonest of them."""
    tokens = np.random.default_rng(0).integers(1, 12, (240, 8)).astype("int32")
    counts = np.stack([(tokens == label).sum(axis=1) for label in (1, 2, 3)], axis=1)
    return tokens, counts.argmax(axis=1).astype("int32")


def train_model(**training):
    tokens, labels = tokens_and_labels()
    parts = (deepapps.ArraySource(tokens[part], labels[part]) for part in (slice(200), slice(200, None)))
    return deepapps.train(
        model=every_layer,
        data=deepapps.Splits(*parts),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        **training,
    )


def first_series():
    """Six of the series, without the steps of NaN at their ends."""
    series = np.load("data/series.npz")["x"][:6]
    return [steps[~np.isnan(steps).any(axis=1)].tolist() for steps in series]


def first_tokens():
    return tokens_and_labels()[0][:6].tolist()


# the settings of each Run; with its task, what is predicted, and of these the one that is explained
RUNS = {
    "mnist": ("mnist", {"network": "mlp", "units": 12, "epochs": 4}, [f"data/digits/{digit}.png" for digit in range(6)]),
    "image": (
        "image",
        {"data": "data/shapes", "network": "cnn", "filters": 6, "epochs": 30, "batch_size": 8, "augment": False},
        ["data/shapes/disc/3.png", "data/shapes/frame/5.png", "data/shapes/stripes/7.png"],
    ),
    "words": (
        "sequence",
        SMALL_TEXTS | {"data": "data/reviews.tsv", "network": "attention-lstm"},
        ["a film of joy", "the music was dull", "a dull start , a story of wit", "unheard words", "joy"],
    ),
    "given-vectors": (
        "sequence",
        SMALL_TEXTS | {"data": "data/reviews.tsv", "embeddings": "data/vectors.txt", "network": "attention-lstm"},
        ["a superb film", "tedious , the music", "a film of joy", "superb start , tedious end"],
    ),
    "characters": (
        "sequence",
        SMALL_TEXTS | {"data": "data/names.tsv", "network": "attention-lstm", "ngrams": 2, "embedding_size": 2, "epochs": 20},
        ["Varnoski", "Bélantine", "Thorøsen", "Katmyllä", "北京"],
    ),
    "subwords": (
        "sequence",
        SMALL_TEXTS | {
            "data": "data/questions.txt", "network": "transformer", "depth": 1, "tokens": "subwords",
            "vocabulary_size": 300, "epochs": 20, "learning_rate": 0.01,
        },
        ["when did the old train leave ?", "who has seen the river ?", "where is the new bridge ?"],
    ),
    "pairs-of-texts": (
        "sequence",
        SMALL_TEXTS | {
            "data": "data/pairs.csv", "network": "cnn", "text_column": "question", "second_text_column": "answer",
            "epochs": 20,
        },
        ["where is the dog ?\tthe dog sleeps", "where is the cat ?\tthe horse runs", "the owl ?\tthe owl runs"],
    ),
    "many-labels": (
        "sequence",
        SMALL_TEXTS | {"data": "data/topics.jsonl", "network": "bilstm", "depth": 2, "multi_label": True, "epochs": 25},
        ["the bank and the team", "a song", "the goal of the bank", "a song for the team and the bank"],
    ),
    "series": ("sequence", SMALL_TEXTS | {"data": "data/series.npz", "network": "gru", "epochs": 20}, first_series),
    "translator-bahdanau": (
        "translator",
        SMALL_PAIRS | {"data": "data/phrases.tsv"},
        ["two old dogs", "the red house sleeps", "a cat"],
    ),
    "translator-luong": (
        "translator",
        SMALL_PAIRS | {"data": "data/phrases.tsv", "attention": "luong", "vocabulary": "separate", "reverse": True},
        ["deux vieux chiens", "la rouge maison dort", "un chat"],
    ),
    "translator-transformer": (
        "translator",
        SMALL_PAIRS | {"data": "data/phrases.tsv", "network": "transformer", "depth": 1},
        ["two old dogs", "the red house sleeps", "a cat"],
    ),
    "summarizer": (
        "summarizer",
        SMALL_PAIRS | {"data": "data/stories.tsv", "max_length": 40},
        ["the old dog runs to the river . it is late . a cat sleeps .", "a red cat sleeps in the house . it is cold ."],
    ),
    "model": ("model", {"epochs": 20, "batch_size": 16, "learning_rate": 0.01}, first_tokens),
}  # fmt: skip


APPS = {
    "mnist": deepapps.mnist_classifier, "image": deepapps.image_classifier, "sequence": deepapps.sequence_classifier,
    "translator": deepapps.translator, "summarizer": deepapps.summarizer, "model": train_model,
}  # fmt: skip


def pack(path):
    """Compresses the members of a zip file, whose bytes stay as they are."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def make(name):
    """Trains a Run, and stores what it answers beside it."""
    task, settings, inputs = RUNS[name]
    train(task, name, settings)
    run = deepapps.load_run(name)
    is_text_or_image = not callable(inputs)
    inputs = inputs if is_text_or_image else inputs()
    answers = run.predict(raw_inputs(task, inputs), probabilities=True)
    stored = {
        "settings": settings,
        "inputs": inputs,
        "answers": answers,
        "metrics": run.evaluate(run.settings.data) if task != "model" else None,
        "explanation": vars(run.explain(inputs[0])) if is_text_or_image else None,
    }
    lines = [f"{json.dumps(key)}: {json.dumps(plain(stored[key]), ensure_ascii=False)}" for key in stored]
    (run.path / "expected.json").write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")
    print(name, run.metrics, [next(iter(answer.values())) for answer in answers], sep="\n  ", flush=True)


def train(task, name, settings):
    """Trains a Run and takes away what loading does not need."""
    run = APPS[task](**COMMON, **settings, output=name, overwrite=True)
    for unused in ("checkpoints", "report"):
        shutil.rmtree(run.path / unused)
    (run.path / "samples.png").unlink(missing_ok=True)
    if name not in AS_TRAINED:
        deepapps.load_run(name).model.save(run.path / "model.keras")
    pack(run.path / "model.keras")


if __name__ == "__main__":
    os.chdir(FOLDER)
    write_data()
    for name in sys.argv[1:] or RUNS:
        make(name)
