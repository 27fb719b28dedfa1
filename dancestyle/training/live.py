"""How a training goes, for whoever watches it: lines or a bar, a table with times, DVCLive.

All of it goes to ``logs/``, which git ignores: speeds differ from run to run, results must not.
"""

from __future__ import annotations

import csv
import io
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dancestyle import files

LOG_DIR = Path("logs")


class LiveLog:
    """The rows of one training as they come.

    ``DIR/training/NAME.csv`` has a row an epoch with everything, speed included; ``DIR/dvclive/NAME``
    is what ``dvc plots show`` and DVC's editor extension follow while it runs.
    """

    def __init__(self, name: str, epochs: int, log_dir: Path, dvclive: bool = True) -> None:
        self.name, self.epochs = name, epochs
        self.table = log_dir / "training" / f"{name}.csv"
        self.rows: list[dict[str, float]] = []
        self.live = _open_dvclive(log_dir / "dvclive" / name) if dvclive else None

    def epoch(self, row: Mapping[str, float], speed: float | None = None) -> None:
        """Add an epoch; ``speed`` is in training clips a second, None for one of an earlier run."""
        full = dict(row) if speed is None else {**row, "clips_per_second": round(speed, 2)}
        self.rows.append(full)
        columns = list(dict.fromkeys(column for one in self.rows for column in one))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        files.write_text(self.table, text.getvalue())
        if self.live is not None:
            for key, value in full.items():
                if key != "epoch":
                    self.live.log_metric(key, value)
            self.live.next_step()
        if speed is not None and not sys.stderr.isatty():
            figures = [f"{key.replace('_', ' ')} {value:.4g}" for key, value in full.items()]
            print(f"{self.name} {figures[0]}/{self.epochs}: {', '.join(figures[1:])}", flush=True)

    def close(self) -> None:
        """Nothing more comes."""
        if self.live is not None:
            self.live.end()


def _open_dvclive(folder: Path) -> Any:
    # Importing it takes a second, so only where a training starts.
    from dvclive import Live

    logging.getLogger("dvclive").setLevel(logging.ERROR)
    return Live(str(folder), report=None, save_dvc_exp=False, dvcyaml=None, monitor_system=False)
