"""Draw the confusion matrix of one model, and name what it confuses.

``python -m stages.confusion_matrix`` reads ``data/predictions/<model>.csv``.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from dancestyle import params, stage
from dancestyle.evaluation import confusions, figures, predictions
from dancestyle.files import write_bytes, write_json, write_text


def main() -> None:
    config: params.ConfusionMatrix = params.load("confusion_matrix")
    table = predictions.read(Path("data/predictions") / f"{config.model}.csv")
    counts = confusions.matrix(table)
    for name, values, shares, title in (
        ("confusion_matrix", counts, False, "test clips"),
        ("confusion_matrix_normalised", confusions.normalised(counts), True, "% of each style"),
    ):
        figure = figures.confusion_matrix(
            values, table.labels, f"{config.model}: {title}", shares=shares
        )
        write_bytes(f"plots/{name}.png", figures.png(figure))
        write_bytes(f"plots/{name}.svg", figures.svg(figure))

    # One row a test clip: DVC's confusion templates count the rows themselves.
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["actual", "predicted"])
    for truth, guess in zip(table.truth, table.predicted, strict=True):
        writer.writerow([table.labels[truth], table.labels[guess]])
    write_text("plots/confusion_matrix.csv", rows.getvalue())

    most = confusions.most_confused(table, config.pairs)
    write_json(
        "metrics/confusions.json",
        {
            "model": config.model,
            "clips": len(table),
            "wrong": int((~table.correct).sum()),
            "pairs": most,
            "claims": confusions.claims(table),
            "hardest": confusions.hardest(table, config.pairs),
        },
    )
    for item in most:
        print(f"{' / '.join(item['labels']):50} {item['count']:4} of {item['clips']} clips")


if __name__ == "__main__":
    stage.run("confusion_matrix", main)
