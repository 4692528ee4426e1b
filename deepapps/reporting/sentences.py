"""The sections of the report of a translator or summarizer: figures by length and kind, samples,
alignments.
"""

import typing

from deepapps.reporting.classification import ByLength
from deepapps.reporting.plots import figure_name
from deepapps.reporting.sections import Card, Gallery, Picture, Section, figures_table, length_table
from deepapps.reporting.text_plots import plot_alignment
from deepapps.typed_json import check_type


class SentenceFigures(typing.TypedDict):
    """What `sentence_sections` reads of metrics.json."""

    by_length: ByLength
    exact_match_by_kind: typing.NotRequired[dict[str, float | None]]
    bleu_signature: typing.NotRequired[str]


class Grouped(typing.TypedDict):
    """An example, as examples.json holds it."""

    group: str


class Sample(typing.TypedDict):
    """One of the best or the worst sentences."""

    source: str
    reference: str
    answer: str
    score: float


class StoredAlignment(typing.TypedDict):
    """The lists of an `Alignment`."""

    source: list[str]
    translation: list[str]
    weights: list[list[float]]


def sentence_sections(figures, examples, folder, main, score):
    """The sections that `Task.sections` of a translator returns.

    Args:
        figures: What `sentence_figures` returns.
        examples: Dicts with a `group`: "worst" and "best" ones have `source`, `reference`, `answer`
            and `score`; "alignment" ones are the lists of an `Alignment`.
        folder: Where the pictures are drawn.
        main, score: Names of the main figure, such as "bleu", and of the score of a single
            sentence.
    """
    check_type(figures, SentenceFigures, "metrics")
    check_type(examples, list[Grouped], "examples")
    groups = {
        name: [e for e in examples if e["group"] == name] for name in ("worst", "best", "alignment")
    }
    check_type(groups["worst"] + groups["best"], list[Sample], "examples")
    check_type(groups["alignment"], list[StoredAlignment], "alignments")
    sections = [_by_length(figures, main)]
    if "exact_match_by_kind" in figures:
        rows = (
            (kind, {"exact_match": share}) for kind, share in figures["exact_match_by_kind"].items()
        )
        sections.append(Section("Kinds", [figures_table("Kind", rows)]))
    if groups["alignment"]:
        sections.append(_alignments(groups["alignment"], folder))
    for name in ("worst", "best"):
        if groups[name]:
            cards = [_card(example, score) for example in groups[name]]
            sections.append(Section(f"{name.title()} samples", [Gallery(cards, wide=True)]))
    return sections


def _by_length(figures, main):
    text = "Examples in five parts of about the same size, by the subwords of their source"
    if "bleu_signature" in figures:
        text += f"; BLEU by sacreBLEU, {figures['bleu_signature']}"
    return Section(
        "Length", [length_table("Subwords", figure_name(main), figures["by_length"])], f"{text}."
    )


def _alignments(examples, folder):
    pictures = []
    for number, example in enumerate(examples, start=1):
        sides = len(example["source"]), len(example["translation"])
        if {len(row) for row in example["weights"]} != {sides[0]} or not sides[1]:
            raise ValueError(f"the weights of alignment {number} must be a row for each word")
        file = f"alignment_{number}.png"
        plot_alignment(example["source"], example["translation"], example["weights"], folder / file)
        pictures.append(Picture(file, f"Alignment with: {' '.join(example['translation'])}"))
    text = (
        "A row for each word that the network wrote. The darker, the more it looked at that word "
        "of the source. Attention is not always the reason."
    )
    return Section("Alignments", pictures, text)


def _card(example, score):
    names = ("source", "reference", "answer")
    return Card(
        f"{score} {example['score']:.1f}", named=[(name.title(), example[name]) for name in names]
    )
