"""A summarizer in a few lines: train, look at the figures, and ask it for summaries.

    python apps/summarizer.py PAIRS.tsv                  # text, tab, summary
    python apps/summarizer.py TEXT_FILE:SUMMARY_FILE     # a text and a summary a line

Copy it to start a program of your own.
"""

import sys

import deepapps


def main(data):
    run = deepapps.summarizer(data=data)
    print(f"test ROUGE-L {run.metrics['test']['rouge_l']:.1f}")

    for text, reference in run.task.data().test.raw[:5]:
        (summary,) = run.predict(text)
        print(f"{text}\n    in short {summary!r}, should be {reference!r}")

    run.explain(text).plot(run.path / "alignment.html")
    print(f"The Run is in {run.path}, and in alignment.html where it looked for the last summary.")


if __name__ == "__main__":
    main(*sys.argv[1:])
