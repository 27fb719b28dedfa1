"""Exported files give what the net gives, and the card says what is known and no more."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import LABELS, make_model

from dancestyle import __main__, card, export, export_command
from dancestyle.training.checkpoints import load_model


@pytest.mark.slow
@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_a_stream_is_exported_both_ways(
    tmp_path: Path, models: dict[str, Path], modality: str, capsys: pytest.CaptureFixture[str]
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    out = tmp_path / "out"
    arguments = ["export", "--model", str(models[modality]), "--out", str(out)]
    assert __main__.main(arguments) == 0
    assert {path.name for path in out.iterdir()} == {
        f"{modality}.pt2", f"{modality}.onnx", f"{modality}.md"
    }  # fmt: skip
    model = load_model(models[modality])
    x = export.example(model, 5, seed=9)  # neither the number traced with nor one checked
    with torch.inference_mode():
        wanted = model.net(x).numpy()
        traced = torch.export.load(out / f"{modality}.pt2").module()(x).numpy()
    session = onnxruntime.InferenceSession(out / f"{modality}.onnx")
    (found,) = session.run(None, {"views": x.numpy()})
    np.testing.assert_allclose(traced, wanted, atol=1e-3 * np.abs(wanted).max())
    np.testing.assert_allclose(found, wanted, atol=1e-3 * np.abs(wanted).max())
    assert "off the net's" in capsys.readouterr().out
    text = (out / f"{modality}.md").read_text()
    assert ", ".join(LABELS) in text and f"`{modality}.onnx`" in text


@pytest.mark.slow
def test_the_fine_tuned_nets_are_exported(tmp_path: Path) -> None:
    model = load_model(make_model(tmp_path / "nl.ckpt", "rgb", "i3d_r50_nl"))
    for kind in export_command.KINDS:
        made = export.export(model, tmp_path / f"nl{export.SUFFIXES[kind]}", kind)
        assert made.difference < 1e-2 and made.path.stat().st_size > 1e6


def test_a_file_that_differs_is_not_written(
    tmp_path: Path, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where an earlier good one stands there."""
    model = load_model(models["rgb"])
    path = tmp_path / "model.pt2"
    path.write_bytes(b"earlier")

    def off_by_a_little(path: Path) -> export.Run:
        def run(x: torch.Tensor) -> np.ndarray:
            with torch.inference_mode():
                logits = model.net(x).numpy()
            return logits + 2 * export.TOLERANCE * max(1, np.abs(logits).max())

        return run

    nothing = lambda net, x, path: path.write_bytes(b"")  # noqa: E731
    monkeypatch.setitem(export._WAYS, "torch", (nothing, off_by_a_little))
    with pytest.raises(export.ExportError, match=r"model\.pt2: a logit is .* off"):
        export.export(model, path, "torch")
    assert path.read_bytes() == b"earlier" and len(list(tmp_path.iterdir())) == 1


def test_missing_packages_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "missing_packages", lambda kinds: ["onnx"])
    assert __main__.main(["export"]) == 2
    assert "pip install -r requirements-export.txt" in capsys.readouterr().err


def test_the_card_says_what_the_metrics_say(tmp_path: Path, models: dict[str, Path]) -> None:
    path = tmp_path / "models/i3d_rgb.ckpt"
    path.parent.mkdir()
    path.write_bytes(models["rgb"].read_bytes())
    model = load_model(path)
    bare = card.card(model, path, root=tmp_path)
    assert "has no `i3d_rgb`" in bare and "`metrics/dataset.json` and" in bare
    metrics = tmp_path / "metrics"
    metrics.mkdir()
    score = {"top1": 0.612, "top5": 0.9, "mean_class_accuracy": 0.6, "macro_f1": 0.58, "nll": 1.234,
             "ece": 0.05, "clips": 207}  # fmt: skip
    recalls = {label: {"recall": n / 4, "clips": 4} for n, label in enumerate(LABELS)}
    content = {
        "evaluate": {"i3d_rgb": score},
        "evaluate_details": {
            "models": {"i3d_rgb": {"intervals": {"top1": [0.55, 0.67]}, "labels": recalls}}
        },
        "dataset": {"clips": 600, "videos": 400, "sources": {"kinetics700": {}}},
        "split": {"clips": {"train": 300, "val": 50, "test": 207}, "leaking_videos": 0},
    }
    for name, one in content.items():
        (metrics / f"{name}.json").write_text(json.dumps(one))
    sources = "build_dataset: {sources: [{root: data/sample/kinetics700}]}\n"
    (tmp_path / "params.yaml").write_text(sources)
    text = card.card(model, path, [("a.onnx", "ONNX")], tmp_path)
    for wanted in ("| top-1 | 61.2 % | 55.0 to 67.0 |", "1.234", "207 test clips", "drawn figures",
                   "polka (0.0 %), salsa dancing (25.0 %)", "- `a.onnx`: ONNX", "every 2nd",
                   "600 clips of 400 source videos (kinetics700)"):  # fmt: skip
        assert wanted in text, wanted
    (tmp_path / "params.yaml").write_text("build_dataset: {sources: [{root: /videos}]}\n")
    assert "drawn figures" not in card.card(model, path, root=tmp_path)
