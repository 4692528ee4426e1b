"""What is minimized and what is measured."""

from deepapps.registry import Registry

SENTENCE_METRICS = Registry(
    "metric", {"bleu": "deepapps.metrics.bleu:Bleu", "rouge_l": "deepapps.metrics.rouge:Rouge"}
)
