"""The programs in apps/ are short, and run as a user runs them."""

import pathlib
import subprocess
import sys

import pytest

APPS = sorted((pathlib.Path(__file__).parent.parent / "apps").glob("*.py"))


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.name)
def test_at_most_sixty_lines(path):
    assert len(path.read_text().splitlines()) <= 60


@pytest.mark.slow
def test_mnist_classifier_reads_digits(tmp_path):
    app = next(path for path in APPS if path.name == "mnist_classifier.py")
    ended = subprocess.run(
        [sys.executable, app], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    accuracy = float(ended.stdout.split()[2].rstrip(","))
    assert accuracy >= 0.97
    assert ended.stdout.count("read as") == 5
    assert list((tmp_path / "runs").glob("mnist-*/report/index.html"))


@pytest.mark.slow
def test_sequence_classifier_tells_languages(tmp_path):
    app = next(path for path in APPS if path.name == "sequence_classifier.py")
    ended = subprocess.run(
        [sys.executable, app], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert float(ended.stdout.split()[2].rstrip(",")) >= 0.88
    assert ended.stdout.count("read as") == 5
