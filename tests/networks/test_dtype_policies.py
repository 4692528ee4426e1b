"""Networks train under every documented dtype policy, and give logits in float32."""

import pytest

import deepapps

WORDS = {"a": "buy pills now", "b": "hello my friend"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Files of texts and of pairs."""
    folder = tmp_path_factory.mktemp("data")
    texts = [f"{label}\t{text} {number}" for number in range(60) for label, text in WORDS.items()]
    pairs = [f"{a} {b} dog\t{b} {a} chien" for a in "abcdefghijkl" for b in "mnopqrstuvw"]
    for name, lines in {"texts.tsv": texts, "pairs.tsv": pairs}.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(
    "app, network, policy",
    [
        ("sequence_classifier", "attention-lstm", "float64"),
        ("sequence_classifier", "gru", "bfloat16"),
        ("translator", "attention-lstm", "bfloat16"),
        pytest.param("translator", "transformer", "mixed_float16", marks=pytest.mark.slow),
    ],
)
def test_trains_under_a_policy(data, tmp_path, app, network, policy):
    settings = {"data": str(data / "texts.tsv"), "embedding_size": 8}
    if app == "translator":
        settings = {"data": str(data / "pairs.tsv"), "vocabulary_size": 300}
    settings |= {
        "network": network,
        "units": 8,
        "epochs": 1,
        "batch_size": 32,
        "dtype_policy": policy,
    }
    run = getattr(deepapps, app)(**settings, output=tmp_path / "run", progress=False)
    lines = []
    run.model.summary(print_fn=lambda line, line_break=None: lines.append(line))
    assert lines and run.history[0]["loss"] > 0
    assert len(deepapps.load_run(tmp_path / "run").predict("a m dog")) == 1
