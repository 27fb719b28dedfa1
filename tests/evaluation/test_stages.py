"""The three stages on a world of twelve clips and untrained nets: every model, every file."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small_world import LABELS, make_clips, make_model

from dancestyle import clips, labels
from dancestyle.evaluation import names, predictions

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_evaluate_confusion_matrix_and_report_fit_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_clips(tmp_path)
    labels.write(tmp_path / "data/dataset/labels.txt", LABELS)
    parts = {
        "train": made[:6], "val": made[6:9], "test": made[9:],
        "subset1_train": [made[0], made[6]], "subset1_test": made[10:],
    }  # fmt: skip
    for name, part in parts.items():
        clips.write(tmp_path / f"data/splits/{name}.csv", part)
    make_model(tmp_path / "models/i3d_rgb.ckpt", "i3d_inception", "rgb", LABELS)
    make_model(tmp_path / "models/i3d_flow.ckpt", "i3d_inception", "flow", LABELS)
    make_model(tmp_path / "models/finetune/tried.ckpt", "i3d_r50", "rgb", LABELS)
    general = ["juggling", "zumba", "salsa dancing"]
    make_model(tmp_path / "models/pretrained/r50.ckpt", "i3d_r50", "rgb", general)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["finetune"]["runs"] = {
        "tried": {"net": "r50", "subset": "subset1", "schedule": "optimal", "freeze": "none",
                  "epochs": 1}
    }  # fmt: skip
    params["evaluate"] |= {"num_clips": 2, "num_crops": 1, "bootstrap": 20, "fit_weights": True}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(stage: str) -> None:
        command = [sys.executable, "-m", f"stages.{stage}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    run("evaluate")
    scores = json.loads((tmp_path / "metrics/evaluate.json").read_text())
    assert list(scores) == names.in_order(
        ["i3d_rgb", "i3d_flow", "two_stream", "finetune_tried", "ensemble", "baseline_r50",
         "colour_histogram", "single_frame"]
    )  # fmt: skip
    assert all(score["clips"] == 3 for score in scores.values())
    assert scores["finetune_tried"]["subset"]["clips"] == 2
    baseline = predictions.read(tmp_path / "data/predictions/baseline_r50.csv")
    assert baseline.labels == tuple(LABELS)
    assert (baseline.probabilities[:, 0] == 0).all()
    details = json.loads((tmp_path / "metrics/evaluate_details.json").read_text())
    for fused in ("two_stream", "ensemble"):
        assert sum(details["weights"][fused]) == pytest.approx(1, abs=1e-3)

    run("confusion_matrix")
    run("report")
    first = _results(tmp_path)
    assert {Path(name).name for name in first} >= {
        "confusion_matrix.png", "confusion_matrix.svg", "confusion_matrix_normalised.png",
        "confusion_matrix_normalised.svg", "confusion_matrix.csv", "confusions.json", "report.html",
        "report.md",
    }  # fmt: skip
    kept = sorted((tmp_path / ".cache/predictions").iterdir())
    assert len(kept) == 7  # four nets on the test clips, those that are fused on validation's too
    shutil.rmtree(tmp_path / "data/predictions")
    run("evaluate")
    assert _results(tmp_path) == first
    assert sorted((tmp_path / ".cache/predictions").iterdir()) == kept

    (tmp_path / "models/i3d_rgb.ckpt").unlink()
    command = [sys.executable, "-m", "stages.evaluate"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "models/i3d_rgb.ckpt: not found" in done.stderr
    assert "Traceback" not in done.stderr


def _results(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for folder in ("metrics", "plots", "data/predictions")
        for path in sorted((root / folder).rglob("*"))
        if path.is_file()
    }
