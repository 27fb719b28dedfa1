"""Write the report, for a browser and for GitHub: ``python -m stages.report``.

Reads ``metrics/`` and ``plots/`` and nothing else; writes ``plots/report.html``,
``metrics/report.md`` and the loss curves in ``plots/report/`` that the latter shows.
"""

from __future__ import annotations

from dancestyle import params, stage
from dancestyle.evaluation import report
from dancestyle.files import write_bytes, write_text


def main() -> None:
    config: params.Report = params.load("report")
    made = report.build(".", config.title)
    for path, content in made.drawn.items():
        write_bytes(path, content)
    write_text("plots/report.html", report.html(made))
    write_text("metrics/report.md", report.markdown(made))
    for section in made.sections:
        for path in section.missing:
            print(f"{section.title}: {path} is not there, so the report does without it")


if __name__ == "__main__":
    stage.run("report", main)
