"""README.md is true: what it names exists, its picture is the pipeline, its numbers are the run's."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx
import pytest
import yaml

from dancestyle import params
from dancestyle.evaluation import readme
from dancestyle.evaluation.tables import percent
from dancestyle.imports import module_file

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")

# Folders and files that only a run, or the reader, makes.
MADE = ("my_videos", "data/", "models/", "plots/report.html", "metrics/report.md", "video.mp4",
        "styles.json", ".venv", "/shared", "dvc.lock", "plots/confusion_matrix.png")  # fmt: skip


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code(text: str) -> Iterator[str]:
    """What stands between backticks, and the lines of fenced blocks."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    for block in fenced:
        yield from block.splitlines()
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from (" ".join(found.split()) for found in re.findall(r"`([^`]+)`", rest))


def stages() -> dict[str, Any]:
    found = {}
    for file in ("dvc.yaml", "data/sample/dvc.yaml"):
        found |= yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))["stages"]
    return found


def test_the_committed_run_is_about_movement() -> None:
    """What sees no movement stays far below the video models, and two streams beat one."""
    scores = json.loads((ROOT / "metrics/evaluate.json").read_text(encoding="utf-8"))
    top1 = {model: score["top1"] for model, score in scores.items()}
    assert top1["two_stream"] > max(top1["i3d_rgb"], top1["i3d_flow"])
    assert max(top1["colour_histogram"], top1["single_frame"]) <= top1["two_stream"] / 2


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)\)", page(name))
    for link in links:
        assert link.startswith("https://") or Path(link).exists(), link


def test_every_page_of_docs_is_linked_where_it_is_wanted() -> None:
    linked = set(re.findall(r"\((docs/[\w-]+\.md)\)", TEXT))
    assert {"docs/data.md", "docs/splits.md", "docs/flow.md", "docs/clipmap.md"} <= linked


@pytest.mark.parametrize("name", PAGES)
def test_make_has_the_targets(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), flags=re.MULTILINE))
    named = {found for text in code(page(name)) for found in re.findall(r"\bmake ([a-z-]+)", text)}
    assert named <= targets
    if name == "README.md":
        assert {"repro", "test", "help"} <= named


@pytest.mark.parametrize("name", PAGES)
def test_paths_exist(name: str) -> None:
    path = re.compile(r"(?<![\w/.@])\.?[\w-]+(?:/[\w.-]+)+/?|[\w-]+\.(?:md|yaml|toml|txt|py)\b")
    for text in code(page(name)):
        for found in path.findall(text):
            published = found.split("/")[0] in ("torchvision", "mmaction2")
            if not published and not found.startswith(MADE) and "NAME" not in found:
                assert Path(found).exists(), f"{name}: {found} in `{text}`"


@pytest.mark.parametrize("name", PAGES)
def test_modules_exist(name: str) -> None:
    for text in code(page(name)):
        for module in re.findall(r"python -m ([a-z][\w.]+)", text):
            assert "NAME" in module or module_file(module), f"{name}: {module}"


def test_params_keys_exist() -> None:
    content = yaml.safe_load(page("params.yaml"))
    count = 0
    for text in code(TEXT):
        for name in re.findall(rf"(?<!/)\b((?:{'|'.join(params.SECTIONS)})\.[a-z]\w*)", text):
            section, key = name.split(".")
            assert key in content[section], f"{name} in `{text}`"
            count += 1
    assert count > 10


def test_every_stage_has_its_paragraph_in_order_of_the_picture() -> None:
    paragraphs = re.findall(r"^\*\*(\w+)\*\* ", TEXT, flags=re.MULTILINE)
    assert sorted(paragraphs) == sorted(stages())
    place = {name: number for number, name in enumerate(paragraphs)}
    assert all(place[one] < place[other] for one, other in drawn())


def drawn() -> set[tuple[str, str]]:
    picture = re.search(r"```mermaid\n(.*?)```", TEXT, flags=re.DOTALL)
    assert picture
    return set(re.findall(r"(\w+) --> (\w+)", picture[1]))


def test_the_picture_is_the_pipeline() -> None:
    """DVC's own graph, the variants of a stage as one, without arrows that repeat a longer way."""
    from dvc.repo import Repo

    with Repo(str(ROOT)) as repo:
        edges = {
            tuple(stage.addressing.rsplit(":", 1)[-1].split("@")[0] for stage in (after, before))
            for before, after in repo.index.graph.edges
        }
    whole = networkx.DiGraph([(one, other) for one, other in edges if one != other])
    assert drawn() == set(networkx.transitive_reduction(whole).edges)


def test_the_recipe_for_own_videos_is_valid() -> None:
    block = re.search(r"<!-- own videos -->\n```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
    assert block
    content = yaml.safe_load(page("params.yaml"))
    for section, keys in yaml.safe_load(block[1]).items():
        assert params.validate(section, content[section] | keys)


def test_the_python_lines_are_python_and_few() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    compile(block, "README.md", "exec")
    assert len([line for line in block.splitlines() if line]) == 3


def test_predict_has_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    from dancestyle.__main__ import main

    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    known = capsys.readouterr().out
    used = {found for text in code(TEXT) if "dancestyle predict" in text
            for found in re.findall(r"--\w+", text)} - {"--help"}  # fmt: skip
    assert used and all(option in known for option in used)


# The tool that fills the results in.


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A README without results, and the results of a made-up run."""
    monkeypatch.syspath_prepend(ROOT / "tests/evaluation")
    import made_up_run

    made_up_run.write(tmp_path, resamples=5, clips_per_label=3)
    details = json.loads((tmp_path / "metrics/evaluate_details.json").read_text())
    details["test_clips_of_training_videos"] = 0
    (tmp_path / "metrics/evaluate_details.json").write_text(json.dumps(details))
    (tmp_path / "README.md").write_text(f"# Head\n\n{readme.BEGIN}\nold\n{readme.END}\n\nTail\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_results_here_are_those_in_metrics() -> None:
    assert readme.main(["--check"]) == 0, "`make readme` puts this right"


def test_it_fills_in_and_keeps_the_rest(run: Path) -> None:
    assert readme.main(["--check"]) == 1
    assert "old" in (run / "README.md").read_text(), "--check writes nothing"
    assert readme.main([]) == 0
    text = (run / "README.md").read_text()
    assert text.startswith("# Head\n\n<!-- results") and text.endswith("-->\n\nTail\n")
    scores = json.loads((run / "metrics/evaluate.json").read_text())
    rows = [line for line in text.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == len(scores)
    assert f"| two-stream I3D | {percent(scores['two_stream']['top1'])} |" in rows[0]
    assert "![Confusion matrix of the two-stream I3D" in text
    assert "57 test clips" in text and "none of a video that training has seen" in text
    assert readme.main(["--check"]) == 0
    assert readme.main([]) == 0 and (run / "README.md").read_text() == text


def test_a_changed_number_is_noticed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme.main([])
    path = run / "metrics/evaluate.json"
    scores = json.loads(path.read_text())
    scores["i3d_flow"]["top1"] += 0.01
    path.write_text(json.dumps(scores))
    assert readme.main(["--check"]) == 1
    assert "make readme" in capsys.readouterr().out


def test_clips_that_leak_are_told(run: Path) -> None:
    details = json.loads((run / "metrics/evaluate_details.json").read_text())
    details["test_clips_of_training_videos"] = 7
    (run / "metrics/evaluate_details.json").write_text(json.dumps(details))
    assert "7 of them of videos that training has seen" in readme.results()


def test_what_is_missing_is_left_out(run: Path) -> None:
    for path in ("metrics/evaluate_details.json", "metrics/confusions.json"):
        (run / path).unlink()
    assert "| two-stream I3D |" in readme.results() and "![Confusion matrix: " in readme.results()
    shutil.rmtree(run / "plots")
    assert "Confusion matrix" not in readme.results()
    (run / "metrics/evaluate.json").unlink()
    assert "No run's results" in readme.results()


@pytest.mark.parametrize(
    "text", ["", readme.BEGIN, f"{readme.END}{readme.BEGIN}", f"{readme.BEGIN * 2}{readme.END}"]
)
def test_marks_that_are_wrong_are_said(
    run: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "README.md").write_text(text)
    assert readme.main([]) == 1
    assert "once each" in capsys.readouterr().err
    assert (run / "README.md").read_text() == text


@pytest.mark.parametrize("content", ["{", "[]", '{"two_stream": {"top1": 0.5}}', '{"x": 1}'])
def test_metrics_that_are_none_are_a_sentence(
    run: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "metrics/evaluate.json").write_text(content)
    assert readme.main([]) == 1
    assert "metrics/evaluate.json" in capsys.readouterr().err
