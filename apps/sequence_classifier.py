"""A text classifier in a few lines: train, look at the figures, and ask it.

    python apps/sequence_classifier.py                   # the embedded sample: which language is
    this name? python apps/sequence_classifier.py reviews.tsv       # any file of texts and labels

Copy it to start a program of your own.
"""

import sys

import deepapps


def main(data="sample"):
    run = deepapps.sequence_classifier(data=data)
    test = run.metrics["test"]
    print(f"test accuracy {test['accuracy']:.4f}, macro F1 {test['f1']:.4f}")

    examples = run.task.data().test
    texts, labels = (
        examples.raw[:5],
        [run.task.class_names[target] for target in examples.targets[:5]],
    )
    for text, label, answer in zip(
        texts, labels, run.predict(texts, probabilities=True), strict=True
    ):
        sure = answer["probabilities"][answer["label"]]
        print(f"{text!r}, {label}: read as {answer['label']}, {100 * sure:.1f} % sure")

    print(f"The Run is in {run.path}; deepapps.load_run({str(run.path)!r}) brings it back.")


if __name__ == "__main__":
    main(*sys.argv[1:])
