"""Write the report, for a browser and for GitHub: ``python -m stages.report``.

Reads ``metrics/`` and ``plots/``, and params to show them; writes ``plots/report.html``,
``metrics/report.md`` and the loss curves in ``plots/report/`` that the latter shows.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from dancestyle import params, stage
from dancestyle.evaluation import report
from dancestyle.files import write_bytes, write_text

PAPER = Path("params/paper.yaml")


def main() -> None:
    config: params.Report = params.load("report")
    sections: dict[str, params.Section] = {
        "input": params.load("input"),
        "build_dataset": params.load("build_dataset"),
        "split": params.load("split"),
        "augment": params.load("augment"),
        "flow": params.load("flow"),
        "tune": params.load("tune"),
        "pretrain": params.load("pretrain"),
        "train": params.load("train"),
        "finetune": params.load("finetune"),
        "evaluate": params.load("evaluate"),
    }
    settings = {name: section.model_dump() for name, section in sections.items()}
    paper = yaml.safe_load(PAPER.read_text(encoding="utf-8")) if PAPER.exists() else None
    made = report.build(".", config.title, settings, paper)
    for path, content in made.drawn.items():
        write_bytes(path, content)
    write_text("plots/report.html", report.html(made))
    write_text("metrics/report.md", report.markdown(made))
    for section in made.sections:
        for path in section.missing:
            print(f"{section.title}: {path} is not there, so the report does without it")


if __name__ == "__main__":
    stage.run("report", main)
