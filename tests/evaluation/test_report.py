import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import made_up_run
import pytest

from dancestyle import files
from dancestyle.evaluation import names, parameters, report, tables
from dancestyle.evaluation.summary import summary
from dancestyle.evaluation.tables import Table


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("run")
    made_up_run.write(root)
    return root


@pytest.fixture(scope="module")
def made(run: Path) -> report.Report:
    made = report.build(run, "Dancing & <Style>")
    for path, content in made.drawn.items():
        files.write_bytes(run / path, content)
    return made


@pytest.fixture(scope="module")
def page(made: report.Report) -> str:
    return report.html(made)


class Page(HTMLParser):
    """Collects what a page refers to, and checks that its elements are closed in order."""

    VOID = frozenset({"meta", "link", "img", "br", "path", "use", "rect", "stop"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.urls: list[str] = []
        self.ids: list[str] = []
        self.anchors: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"src", "href", "xlink:href", "srcset", "action", "data"}:
                (self.anchors if (value or "").startswith("#") else self.urls).append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag == "img":
            assert dict(attrs).get("alt")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_is_whole_and_holds_everything_itself(page: str) -> None:
    found = Page(page)
    assert found.open == []
    assert {url.split(":")[0] for url in found.urls} == {"data"}
    assert {anchor[1:] for anchor in found.anchors} <= set(found.ids)
    assert "url(http" not in page
    assert len(page) < 5_000_000
    assert page.count("<img ") == 4
    assert page.count('<svg role="img"') == 5
    assert "Not there" not in page
    assert "&amp; &lt;b&gt;markup&lt;/b&gt;" in page
    assert "<title>Dancing &amp; &lt;Style&gt;: report</title>" in page


def test_the_page_comes_out_the_same(run: Path, page: str) -> None:
    again = report.build(run, "Dancing & <Style>")
    assert report.html(again) == page
    assert report.markdown(again) == report.markdown(again)
    for path, content in again.drawn.items():
        assert content == (run / path).read_bytes()


def test_the_numbers_are_those_of_the_metrics(run: Path, page: str) -> None:
    scores = json.loads((run / "metrics/evaluate.json").read_text())
    for model, score in scores.items():
        assert names.model_name(model) in page
        assert tables.percent(score["top1"]) in page
    for known in ("7.87e-04", "0.2966", "15.45 %", "2.9055 / 2.8112", "73.47 %", "93 % of 1500"):
        assert known in page


def test_markdown_links_pictures_that_are_there(run: Path, made: report.Report) -> None:
    text = report.markdown(made)
    links = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert len(links) == 6
    for link in links:
        assert (run / "metrics" / link).is_file(), link
    assert "a \\| pipe" in text
    blocks = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    assert len(blocks) >= 12
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_every_missing_file_is_named(tmp_path: Path, run: Path) -> None:
    made = report.build(tmp_path, "Nothing yet")
    page = report.html(made)
    for path in ("metrics/evaluate.json", "plots/flow/contact_sheet.jpg", "metrics/tune.json"):
        assert f"Not there: <code>{path}</code>" in page
        assert path in report.markdown(made)
    part = tmp_path / "part"
    shutil.copytree(run / "metrics", part / "metrics")
    left_out = ("metrics/evaluate_details.json", "metrics/confusions.json", "metrics/dataset.json")
    for path in left_out:
        (part / path).unlink()
    page = report.html(report.build(part, "x"))
    for path in left_out:
        assert f"Not there: <code>{path}</code>" in page


@pytest.mark.parametrize(
    "labels",
    [
        ["one", "two"],
        pytest.param([f"style number {n}" for n in range(60)], marks=pytest.mark.slow),
    ],
)
def test_other_label_sets_have_a_report_too(tmp_path: Path, labels: list[str]) -> None:
    made_up_run.write(tmp_path, labels, resamples=5, clips_per_label=3)
    page = report.html(report.build(tmp_path, "x"))
    assert labels[-1] in page
    assert "salsa" not in page
    assert len(page) < 5_000_000


def test_a_run_taken_out_of_params_is_not_shown(tmp_path: Path, run: Path) -> None:
    shutil.copytree(run / "metrics", tmp_path / "run/metrics")
    shutil.copy(run / "metrics/train_rgb.json", tmp_path / "run/metrics/finetune_gone.json")
    left = report.build(tmp_path / "run", "x")
    (table,) = [item for item in left.sections[-1].items if isinstance(item, Table)]
    assert [row[0] for row in table.rows] == [
        "r50 nl optimal", "r50 nl scheduled", "r50 scheduled",
    ]  # fmt: skip


def test_parameters_stand_beside_the_paper_profile() -> None:
    ours = {"tune": {"lr": (3e-5, 0.003), "clips": None, "watch": [{"a": 1}]}, "x": {"on": True}}
    paper = {"tune": {"lr": [1e-5, 1e-2], "clips": 7}, "x": {"on": False}}
    assert parameters.table(ours, paper).rows == (
        ("tune.lr", "3e-05, 0.003", "1e-05, 0.01"),
        ("tune.clips", "", "7"),
        ("x.on", "true", "false"),
    )
    assert parameters.table(ours, None).rows[0] == ("tune.lr", "3e-05, 0.003")


def test_the_summary_says_how_well_where_and_how_long(tmp_path: Path, run: Path) -> None:
    assert "No results yet" in summary(tmp_path)
    root = tmp_path / "run"
    shutil.copytree(run, root)
    (root / "plots/report.html").write_text("")
    (root / "logs").mkdir()
    (root / "logs/timings.csv").write_text("stage,seconds\nsplit,1.2\ntrain@rgb,100.0\nempty,0\n")
    text = summary(root)
    top1 = json.loads((run / "metrics/evaluate.json").read_text())["two_stream"]["top1"]
    assert re.search(rf"two-stream I3D +{100 * top1:.1f} % +{100 * top1:.1f} % +190\n", text)
    assert (root / "plots/report.html").as_uri() in text
    assert text.index("train@rgb") < text.index("split")
    assert re.search(r"train@rgb +1:40 +99 %", text)
    (root / "logs/timings.csv").write_text("what,ever\n1,2\n")
    assert "cannot be read" in summary(root)


BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)

PROBE = """<!doctype html><title>waiting</title>
<iframe id="page" src="report.html" style="width:{width}px;height:900px;border:0"></iframe>
<script>
document.getElementById("page").onload = (event) => {{
  const page = event.target.contentDocument;
  document.title = JSON.stringify({{
    overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
    pictures: [...page.images].map((picture) => picture.naturalWidth),
    ground: event.target.contentWindow.getComputedStyle(page.body).backgroundColor,
    ink: event.target.contentWindow.getComputedStyle(page.body).color,
  }});
}};
</script>"""


@pytest.mark.slow
@pytest.mark.skipif(not BROWSER, reason="no Chromium here")
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_shows_it(tmp_path: Path, page: str, width: int, dark: bool) -> None:
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    (tmp_path / "probe.html").write_text(PROBE.format(width=width))
    done = subprocess.run(
        [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         "--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'profile'}",
         f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--window-size=1400,1000",
         "--virtual-time-budget=5000", "--dump-dom", (tmp_path / "probe.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title
    found = json.loads(title[1])
    assert found["overflow"] == 0
    assert len(found["pictures"]) == 4
    assert min(found["pictures"]) > 100
    assert (found["ground"] == "rgb(255, 255, 255)") is not dark
    assert found["ground"] != found["ink"]
