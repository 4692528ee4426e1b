"""Test accuracy of the sequence classifier against TF-IDF and a linear model of scikit-learn, on
the same split.

    python benchmarks/sequence.py                                   # the embedded names, bare
    defaults python benchmarks/sequence.py --data train.tsv --test dev.tsv   # words: TF-IDF of
    words and pairs of words python benchmarks/sequence.py --data train.txt --seeds 3 python
    benchmarks/sequence.py --data train.tsv --test dev.tsv --embeddings glove.6B.50d.txt --units 160

Weights are picked on the validation split; the test set is opened once, at the end. The time is
that of the whole
call: data, training, evaluation, report. Of both the accuracy on the validation split is printed,
too: a part of 3,400 names may be harder than another by one or two hundredths, for every model.
"""

import statistics
import tempfile
import time

import click
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

import deepapps


def peer(splits, characters):
    """Accuracy of the linear model of scikit-learn that suits names, or texts, on the validation
    and the test split.
    """
    if characters:  # in lower case it is one hundredth worse
        features = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), lowercase=False)
        model = make_pipeline(features, LinearSVC())
    else:
        model = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+"),
            LogisticRegression(C=10, max_iter=1000),
        )
    model.fit(splits.train.raw, splits.train.targets)
    return [model.score(part.raw, part.targets) for part in (splits.validation, splits.test)]


@click.command()
@click.option("--data", default="sample", show_default=True)
@click.option("--test")
@click.option("--network", default="attention-lstm", show_default=True)
@click.option("--embeddings")
@click.option("--batch-size", type=int)
@click.option("--epochs", type=int)
@click.option("--units", type=int)
@click.option("--embedding-dropout", type=float)
@click.option("--word-dropout", type=float)
@click.option("--seeds", default=3, show_default=True)
def main(seeds, **options):
    options = {name: value for name, value in options.items() if value is not None}
    accuracies, times = [], []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            run = deepapps.sequence_classifier(**options, seed=seed, output=folder, progress=False)
            times.append(time.perf_counter() - began)
            validation, tested = (run.metrics[part]["accuracy"] for part in ("validation", "test"))
        accuracies.append(tested)
        print(
            f"seed {seed}: validation {validation:.4f}, test {tested:.4f}, {times[-1]:.0f} s",
            flush=True,
        )
    print(
        f"deepapps: mean test accuracy {statistics.mean(accuracies):.4f}, longest {max(times):.0f} "
        "s"
    )
    validation, tested = peer(run.task.data(), options["data"] == "sample")
    print(f"scikit-learn: validation {validation:.4f}, test {tested:.4f}")


if __name__ == "__main__":
    main()
