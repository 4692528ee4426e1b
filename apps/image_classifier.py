"""A classifier of your own images: train on a folder, look at the figures, and ask it about files.

    python apps/image_classifier.py flowers/          # flowers/daisy/1.jpg, flowers/tulip/1.jpg,
    ...

A folder of a few thousand photos takes minutes on a laptop. Copy it to start a program of your own.
"""

import pathlib
import sys

import deepapps


def main(folder):
    run = deepapps.image_classifier(data=folder, epochs=20, augment=True, class_weight="balanced")
    test = run.metrics["test"]
    print(f"test accuracy {test['accuracy']:.4f}, macro F1 {test['f1']:.4f}")
    weakest = min(test["per_class"], key=lambda name: test["per_class"][name]["f1"])
    print(f"weakest class: {weakest}, F1 {test['per_class'][weakest]['f1']:.4f}")

    files = sorted(
        file for file in pathlib.Path(folder).rglob("*") if file.suffix.lower() in (".jpg", ".png")
    )
    for file, answer in zip(
        files[::100], run.predict(files[::100], probabilities=True), strict=True
    ):
        print(
            f"{file}: {answer['label']}, {100 * max(answer['probabilities'].values()):.1f} % sure"
        )

    print(f"Report: {run.path / 'report' / 'index.html'}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(
            "Name a folder with one sub-folder of images for each class: image_classifier.py FOLDER"
        )
    main(sys.argv[1])
