from made_up import table_of

from dancestyle.evaluation import names, scoring

MODELS = ["single_frame", "baseline_r50", "finetune_r50_scheduled", "i3d_rgb", "two_stream",
          "ensemble", "i3d_flow", "colour_histogram", "finetune_a"]  # fmt: skip
PARENTS = {"finetune_r50_scheduled": "baseline_r50", "finetune_a": "baseline_gone"}


def test_models_come_in_the_order_of_the_tables() -> None:
    assert names.in_order(MODELS) == [
        "two_stream", "i3d_rgb", "i3d_flow", "ensemble", "finetune_a", "finetune_r50_scheduled",
        "baseline_r50", "colour_histogram", "single_frame",
    ]  # fmt: skip


def test_the_pairs_answer_the_questions() -> None:
    pairs = scoring.comparisons(MODELS, PARENTS)
    assert ("two_stream", "i3d_rgb") in pairs
    assert ("ensemble", "finetune_a") in pairs
    assert ("finetune_r50_scheduled", "baseline_r50") in pairs
    assert len(pairs) == len(set(pairs)) == 8 + 2 + 1


def test_what_is_written_holds_every_model() -> None:
    tables = {name: table_of(seed=n) for n, name in enumerate(MODELS)}
    subsets = {"finetune_a": table_of(clips=12)}
    summary = scoring.summary(tables, subsets)
    assert list(summary) == names.in_order(MODELS)
    assert summary["finetune_a"]["subset"]["clips"] == 12
    assert set(summary["i3d_rgb"]) == {
        "top1", "top5", "mean_class_accuracy", "macro_f1", "nll", "ece", "clips",
    }  # fmt: skip
    details = scoring.details(
        tables, subsets, PARENTS, resamples=20, seed=0, facts={"weights": "equal"}
    )
    assert next(iter(details)) == "weights"
    assert set(details["models"]) == set(MODELS)
    assert "subset_intervals" in details["models"]["finetune_a"]
    low, high = details["models"]["two_stream"]["intervals"]["top1"]
    assert low <= summary["two_stream"]["top1"] <= high
    assert len(details["comparisons"]) == 11
