"""The sections of the report of a translator or summarizer: figures by length and kind, samples,
alignments.
"""

from deepapps.reporting.plots import figure_name
from deepapps.reporting.sections import Card, Gallery, Picture, Section, figures_table, length_table
from deepapps.reporting.text_plots import plot_alignment


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
    groups = {
        name: [e for e in examples if e["group"] == name] for name in ("worst", "best", "alignment")
    }
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
