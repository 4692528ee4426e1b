"""A translator in a few lines: train, look at the figures, and ask it for translations.

    python apps/translator.py                            # phrases of CLDR, English to French: exact
    match 0.99 python apps/translator.py PAIRS.tsv                  # source, tab, target python
    apps/translator.py SOURCE_FILE:TARGET_FILE    # a sentence a line

Copy it to start a program of your own.
"""

import sys

import deepapps


def main(data="sample"):
    run = deepapps.translator(data=data)
    test = run.metrics["test"]
    print(f"test BLEU {test['bleu']:.1f}, exact match {test['exact_match']:.3f}")

    for source, reference in run.task.data().test.raw[:5]:
        (answer,) = run.predict(source, probabilities=True, beam=5)
        print(f"{source}\n    translated as {answer['translation']!r}, should be {reference!r}")

    print(f"The Run is in {run.path}; deepapps.load_run({str(run.path)!r}) brings it back.")


if __name__ == "__main__":
    main(*sys.argv[1:])
