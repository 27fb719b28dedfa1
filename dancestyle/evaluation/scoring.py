"""All models' prediction tables together: which are compared, and what is written of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dancestyle.evaluation import metrics
from dancestyle.evaluation.names import ENSEMBLE, FINETUNED, TWO_STREAM, in_order
from dancestyle.evaluation.predictions import Predictions


def comparisons(models: Iterable[str], parents: Mapping[str, str]) -> list[tuple[str, str]]:
    """The pairs of models that the study's questions are about.

    The two-stream net against each of its streams, and against every other model; the ensemble
    against each of its members; a fine-tuned model against the general-action net it started from.

    Args:
        models: those that there are predictions of.
        parents: a fine-tuned model's general-action net.
    """
    there = in_order(models)
    pairs = [(TWO_STREAM, model) for model in there if model != TWO_STREAM]
    pairs += [(ENSEMBLE, model) for model in there if model.startswith(FINETUNED)]
    pairs += [(model, parents[model]) for model in there if model in parents]
    return [(one, other) for one, other in pairs if one in there and other in there]


def summary(
    tables: Mapping[str, Predictions], subsets: Mapping[str, Predictions]
) -> dict[str, dict[str, Any]]:
    """The content of ``metrics/evaluate.json``: each model's scores on the common test split.

    ``subsets`` are tables of fine-tuned models on the test part of their own subset; their scores
    stand under the model's key ``subset``.
    """
    result: dict[str, dict[str, Any]] = {}
    for model in in_order(tables):
        result[model] = dict(metrics.scores(tables[model]))
        if model in subsets:
            result[model]["subset"] = metrics.scores(subsets[model])
    return result


def details(
    tables: Mapping[str, Predictions],
    subsets: Mapping[str, Predictions],
    parents: Mapping[str, str],
    *,
    resamples: int,
    seed: int,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of ``metrics/evaluate_details.json``.

    Args:
        facts: anything else worth writing down, such as fusion weights; comes first.

    Returns:
        ``facts``, the number of test clips and videos, each model's intervals and scores by label,
        and the paired tests, whose p-values are not corrected for their number.
    """
    one = next(iter(tables.values()))
    names = in_order(tables)
    return {
        **facts,
        "labels": list(one.labels),
        "clips": len(one),
        "videos": len(set(one.video_ids)),
        "resamples": resamples,
        "models": {
            model: {
                "intervals": metrics.intervals(tables[model], resamples, seed),
                **(
                    {"subset_intervals": metrics.intervals(subsets[model], resamples, seed)}
                    if model in subsets
                    else {}
                ),
                "labels": metrics.by_label(tables[model]),
            }
            for model in names
        },
        "comparisons": [
            {
                "one": first,
                "other": second,
                **metrics.compare(tables[first], tables[second], resamples, seed),
            }
            for first, second in comparisons(names, parents)
        ],
    }
