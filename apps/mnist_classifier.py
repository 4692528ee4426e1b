"""A digit classifier in a few lines: train, look at the figures, and ask it about images.

    python apps/mnist_classifier.py                            # the embedded sample of 5,000 digits
    python apps/mnist_classifier.py FOLDER_OF_IDX_FILES        # full MNIST, or any set in its
    format

Copy it to start a program of your own.
"""

import sys

import numpy as np

import deepapps
from deepapps.data.images.load import load_images


def main(data="sample"):
    run = deepapps.mnist_classifier(data=data)
    test = run.metrics["test"]
    print(f"test accuracy {test['accuracy']:.4f}, macro F1 {test['f1']:.4f}")

    digits = load_images(data)[0].test
    images, labels = digits[np.linspace(0, len(digits) - 1, 5, dtype=int)]
    for label, answer in zip(labels, run.predict(images, probabilities=True), strict=True):
        sure = max(answer["probabilities"].values())
        print(f"a {label}: read as {answer['label']}, {100 * sure:.1f} % sure")

    print(f"The Run is in {run.path}; deepapps.load_run({str(run.path)!r}) brings it back.")


if __name__ == "__main__":
    main(*sys.argv[1:])
