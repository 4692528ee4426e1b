"""Test accuracy of the sequence classifier against TF-IDF and a linear model of scikit-learn, on the same split.

    python benchmarks/sequence.py                                   # the embedded names, bare defaults
    python benchmarks/sequence.py --data train.tsv --test dev.tsv   # words: TF-IDF of words and pairs of words
    python benchmarks/sequence.py --data train.txt --seeds 3

Weights are picked on the validation split; the test set is opened once, at the end. The time is that of the whole
call: data, training, evaluation, report.
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
    """Test accuracy of the linear model of scikit-learn that suits names, or texts."""
    if characters:
        model = make_pipeline(TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4)), LinearSVC())
    else:
        model = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+"), LogisticRegression(C=10, max_iter=1000)
        )
    model.fit(splits.train.raw, splits.train.targets)
    return model.score(splits.test.raw, splits.test.targets)


@click.command()
@click.option("--data", default="sample", show_default=True)
@click.option("--test")
@click.option("--network", default="attention-lstm", show_default=True)
@click.option("--seeds", default=3, show_default=True)
def main(data, test, network, seeds):
    accuracies, times = [], []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            run = deepapps.sequence_classifier(
                data=data, test=test, network=network, seed=seed, output=folder, progress=False
            )
            times.append(time.perf_counter() - began)
            validation, tested = (run.metrics[part]["accuracy"] for part in ("validation", "test"))
        accuracies.append(tested)
        print(f"seed {seed}: validation {validation:.4f}, test {tested:.4f}, {times[-1]:.0f} s", flush=True)
    print(f"deepapps: mean test accuracy {statistics.mean(accuracies):.4f}, longest {max(times):.0f} s")
    print(f"scikit-learn: test accuracy {peer(run.task.data(), data == 'sample'):.4f}")


if __name__ == "__main__":
    main()
