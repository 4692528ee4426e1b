"""Summarization: the translator with other defaults, measured by ROUGE."""

import dataclasses

from deepapps.settings import LONGEST, setting
from deepapps.tasks.translation import Translation, TranslatorSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class SummarizerSettings(TranslatorSettings):
    """What a summarizer learns from, and with which network."""

    data: str | None = setting(
        None,
        "Training pairs of text and summary: `tfds:NAME`, a .tsv, .txt, .csv, .jsonl or .parquet "
        "file, or SOURCE_FILE:TARGET_FILE.",
    )
    source_language: str | None = setting(
        None, "Language of the texts, for the record: nothing depends on it."
    )
    target_language: str | None = setting(
        None, "Language of the summaries, by which ROUGE finds words; English by default."
    )
    max_length: int = setting(
        256,
        "Subwords after which a text is cut.",
        minimum=2,
        maximum=LONGEST,
    )
    cut_sources: bool = setting(
        True, "Cut texts of training pairs that are too long, in place of leaving the pairs out."
    )
    max_ratio: float | None = setting(
        None,
        "Most times that one side of a training pair is longer, in subwords, where it has over 10; "
        "default: no bound.",
        minimum=1,
    )


class Summarization(Translation):
    """What does a text say, in short?

    Inputs, targets and outputs are those of `Translation`.
    """

    Settings = SummarizerSettings
    name = "summarizer"
    monitor = "rouge_l"
    answer_name = "summary"
    longest = (1, 20)

    def __init__(self, settings=None, learned=None):
        super().__init__(settings, learned)
        if self.settings.data is None:
            raise ValueError(
                "`data` must name pairs of a text and its summary, such as a .tsv file (--data "
                "FILE)."
            )
