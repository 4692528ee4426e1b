"""BLEU of the translator on Multi30k and on the sentences of Tatoeba: raw text in, detokenized
cased text out.

    python benchmarks/bleu.py multi30k FOLDER_OF_FILES runs/multi30k                       # German
    to English python benchmarks/bleu.py multi30k FOLDER_OF_FILES runs/multi30k --network
    transformer python benchmarks/bleu.py spanish spa.txt.gz runs/spanish
    # Spanish to English

Of Multi30k the set `val` is tested on. Of Tatoeba 5,000 English sentences, drawn by a hash, are
kept from training, and each is tested with the first of its Spanish sentences; 8 % of these stand
in training with another English sentence. Weights are picked by BLEU on a hash split of the
training pairs; the test set is opened once, at the end, with a beam of 4. The same command goes on
with a run that was stopped.
"""

import gzip
import hashlib
import json
import pathlib

import click

import deepapps

SETTINGS = {
    ("multi30k", "attention-lstm"): {"dropout": 0.3, "learning_rate": 2e-3, "epochs": 12},
    ("multi30k", "transformer"): {
        "units": 128,
        "depth": 4,
        "dropout": 0.3,
        "batch_size": 128,
        "learning_rate": 3e-3,
        "epochs": 25,
    },
    ("spanish", "attention-lstm"): {
        "dropout": 0.2,
        "learning_rate": 2e-3,
        "batch_size": 128,
        "epochs": 6,
    },
}
HELD_OUT = 5_000  # English sentences


def multi30k(folder, _):
    """The settings that name the data."""
    sides = {
        part: ":".join(f"{folder}/{part}.{side}.gz" for side in ("de", "en"))
        for part in ("train", "val")
    }
    return {"data": sides["train"], "test": sides["val"]}


def spanish(file, output):
    """Writes the pairs, without and with the held-out English sentences, beside the Run."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        pairs = [line.rstrip("\n").split("\t")[:2] for line in lines]
    english = sorted(
        {pair[0] for pair in pairs}, key=lambda text: hashlib.sha256(text.encode()).digest()
    )
    held_out = set(english[:HELD_OUT])
    tested = {one: other for one, other in reversed(pairs) if one in held_out}  # the first stays
    parts = {"train": [pair for pair in pairs if pair[0] not in held_out], "test": tested.items()}
    files = {}
    for part, chosen in parts.items():
        files[part] = output.with_name(f"{output.name}_{part}.tsv")
        files[part].parent.mkdir(parents=True, exist_ok=True)
        files[part].write_text(
            "".join(f"{one}\t{other}\n" for one, other in chosen), encoding="utf-8"
        )
    return {"data": str(files["train"]), "test": str(files["test"]), "reverse": True}


@click.command()
@click.argument("corpus", type=click.Choice(["multi30k", "spanish"]))
@click.argument("data", type=click.Path(exists=True))
@click.argument("output", type=click.Path(path_type=pathlib.Path))
@click.option("--network", default="attention-lstm", show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(corpus, data, output, network, seed):
    if (corpus, network) not in SETTINGS:
        raise click.UsageError(f"No settings are known for {network} on {corpus}.")
    settings = SETTINGS[corpus, network]
    files = {"multi30k": multi30k, "spanish": spanish}[corpus](data, output)
    resume = (output / "settings.json").exists()
    run = deepapps.translator(
        **files, **settings, network=network, seed=seed, output=output, resume=resume
    )
    print(json.dumps({part: run.metrics[part]["bleu"] for part in ("validation", "test")}))
    print(run.metrics["test"]["bleu_signature"], f"chrF {run.metrics['test']['chrf']:.1f}")


if __name__ == "__main__":
    main()
