"""The report: one page with every table and figure, made from metrics and plots alone.

:func:`build` reads ``metrics/`` and ``plots/`` below a folder and gives sections;
:func:`html` and :func:`markdown` write the same sections for a browser and for GitHub. The page
holds its pictures inside itself, and neither a time nor anything of the machine.
"""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from dancestyle.evaluation import figures, parameters, tables
from dancestyle.evaluation.names import FINETUNED, STREAMS, TWO_STREAM, model_name, spaced
from dancestyle.evaluation.tables import Bar, Table

TEMPLATES = Path(__file__).parent / "templates"
CURVES = "plots/report"
"""Where the loss curves are kept as files, for the Markdown report."""

_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Picture:
    """A picture file; ``alt`` says what is to be seen. Wide ones may scroll on a phone.

    ``panels`` are its parts as SVG, for a page that arranges them by its width.
    """

    path: str
    alt: str
    content: bytes
    panels: tuple[Markup, ...] = ()
    wide: bool = False

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        kind = _TYPES[Path(self.path).suffix]
        return f"data:{kind};base64,{base64.b64encode(self.content).decode()}"


@dataclass
class Section:
    """A chapter: paragraphs, then tables and pictures, then what is missing."""

    name: str
    title: str
    text: list[str] = field(default_factory=list)
    items: list[Table | Picture] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Headline:
    """A number that the page begins with."""

    value: str
    what: str
    more: str = ""


@dataclass(frozen=True)
class Report:
    """All that the two renderings show."""

    title: str
    headlines: tuple[Headline, ...]
    sections: tuple[Section, ...]

    @property
    def drawn(self) -> dict[str, bytes]:
        """Pictures that the report itself has drawn, by path."""
        items = [item for section in self.sections for item in section.items]
        return {one.path: one.content for one in items if isinstance(one, Picture) and one.panels}


class _Files:
    """Reads files below ``root``; one that is not there is noted in the section asking for it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def json(self, path: str, section: Section) -> dict[str, Any]:
        found = self._read(path, section)
        return json.loads(found) if found else {}

    def rows(self, path: str, section: Section) -> list[dict[str, str]]:
        found = self._read(path, section)
        return list(csv.DictReader(found.decode("utf-8").splitlines())) if found else []

    def picture(self, path: str, alt: str, section: Section, wide: bool = False) -> None:
        found = self._read(path, section)
        if found:
            section.items.append(Picture(path, alt, found, wide=wide))

    def all_json(self, pattern: str, section: Section) -> dict[str, dict[str, Any]]:
        """The content of ``metrics/<prefix>*.json`` by what stands for the star, sorted."""
        prefix, suffix = pattern.split("*")
        paths = self._matching(pattern, section)
        return {
            path.removeprefix(prefix).removesuffix(suffix): self.json(path, section)
            for path in paths
        }

    def all_rows(self, pattern: str, section: Section) -> dict[str, list[dict[str, str]]]:
        prefix, suffix = pattern.split("*")
        paths = self._matching(pattern, section)
        return {
            path.removeprefix(prefix).removesuffix(suffix): self.rows(path, section)
            for path in paths
        }

    def _matching(self, pattern: str, section: Section) -> list[str]:
        found = sorted(path.relative_to(self.root).as_posix() for path in self.root.glob(pattern))
        if not found:
            section.missing.append(pattern)
        return found

    def _read(self, path: str, section: Section) -> bytes:
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            section.missing.append(path)
            return b""


def build(
    root: Path | str,
    title: str,
    settings: Mapping[str, Any] | None = None,
    paper: Mapping[str, Any] | None = None,
) -> Report:
    """The report's content from ``metrics/`` and ``plots/`` below ``root``.

    A missing file leaves out what it would show, and its section says so.

    Args:
        settings: sections of params to show; ``paper`` are the paper profile's, shown beside them.
    """
    files = _Files(Path(root))
    sections = [make(files) for make in _SECTIONS]
    if settings:
        sections.append(_parameters(settings, paper))
    return Report(title, tuple(_headlines(files)), tuple(sections))


def html(report: Report) -> str:
    """The report as one self-contained page."""
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    return _templates().get_template("report.html.j2").render(report=report, style=Markup(style))


def html_with(page: str, section: Section) -> str:
    """A page of :func:`html` with one more section at its end."""
    macros = _templates().get_template("section.html.j2").make_module()
    body, link = str(macros.chapter(section)), str(macros.entry(section))  # type: ignore[attr-defined]
    return page.replace("</nav>", f"{link}</nav>", 1).replace("</main>", f"{body}</main>", 1)


def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.tests["table"] = lambda item: isinstance(item, Table)
    environment.tests["bar"] = lambda cell: isinstance(cell, Bar)
    return environment


def markdown(report: Report, up: str = "../") -> str:
    """The report as GitHub Markdown; ``up`` leads from its folder to the project's root."""
    lines = [f"# {report.title}", ""]
    for one in report.headlines:
        more = f" ({one.more})" if one.more else ""
        lines.append(f"- {one.what}: **{one.value}**{more}")
    for section in report.sections:
        lines += ["", f"## {section.title}"]
        for text in section.text:
            lines += ["", text]
        for item in section.items:
            if isinstance(item, Table):
                lines += ["", f"**{item.caption}**", "", *_markdown_table(item)]
                lines += ["", item.note] if item.note else []
            else:
                lines += ["", f"![{item.alt}]({up}{item.path})"]
        for path in section.missing:
            lines += ["", f"_{_missing(path)}_"]
    return "\n".join(lines) + "\n"


def _missing(path: str) -> str:
    return f"Not there: {path}. `dvc repro` makes it."


def _markdown_table(table: Table) -> Iterable[str]:
    # Bars are for the page; a column of nothing else is left out.
    shown = [
        column
        for column in range(len(table.columns))
        if not any(isinstance(row[column], Bar) for row in table.rows)
    ]

    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    yield line(table.columns[column].strip() for column in shown)
    yield line("---" if table.is_text(column) else "---:" for column in shown)
    for row in table.rows:
        yield line(str(row[column]) for column in shown)


def _headlines(files: _Files) -> Iterable[Headline]:
    nowhere = Section("", "")
    scores = files.json("metrics/evaluate.json", nowhere)
    details = files.json("metrics/evaluate_details.json", nowhere)
    for model in (TWO_STREAM, *STREAMS):
        if model in scores:
            interval = details.get("models", {}).get(model, {}).get("intervals", {}).get("top1")
            yield Headline(
                tables.percent(scores[model]["top1"]),
                f"top-1 of the {model_name(model)}",
                f"95 %: {tables.percent_range(interval)}" if interval else "",
            )
    if details:
        count = len(details["labels"])
        yield Headline(
            str(details["clips"]),
            "test clips",
            f"of {details['videos']} source videos; chance is {tables.percent(1 / count)}",
        )


def _about(files: _Files) -> Section:
    return Section(
        "about",
        "What this is",
        [
            "A rebuild of the study “Dancing in Style: Classifying Dance Videos By Style”: "
            "its tables and figures with the numbers of this run, and the study's number beside "
            "ours where it is known. A blank is a number that is not known here.",
            "The two are not comparable. The study used videos of Kinetics-700-2020 and Let's "
            "Dance; this run used what build_dataset.sources in params.yaml names, which by "
            "default is a small world of drawn dancers in the layout of these datasets, at a "
            "fraction of the size, length and resolution. What can be compared is the order of "
            "the methods, and what is confused with what.",
        ],
    )


def _data(files: _Files) -> Section:
    section = Section("data", "The data")
    found = files.json("metrics/dataset.json", section)
    if found:
        section.items += [tables.dataset(found)]
        rejected = tables.rejected(found)
        if rejected.rows:
            section.items += [rejected]
    split = files.json("metrics/split.json", section)
    if split:
        section.items.append(tables.splits(split))
        leaking = split.get("leaking_videos", 0)
        section.text.append(
            f"{leaking} source videos have clips in more than one of training, validation and "
            "test, so part of what is tested has been seen."
            if leaking
            else "No source video has clips in two of training, validation and test."
        )
        for subset, count in split.get("leaking_videos_of_subsets", {}).items():
            if count:
                section.text.append(
                    f"{count} source videos of {subset}'s training part have clips in the common "
                    "test split, so the models fine-tuned on it have seen part of what is tested."
                )
    return section


def _looks(files: _Files) -> Section:
    section = Section("looks", "What the styles look like")
    for path, alt in (
        ("plots/dataset/contact_sheet.jpg", "A frame of each style"),
        ("plots/flow/contact_sheet.jpg", "The optical flow of each style, colour for direction"),
    ):
        files.picture(path, alt, section, wide=True)
    return section


def _tuning(files: _Files) -> Section:
    section = Section("tuning", "Tuning")
    found = files.json("metrics/tune.json", section)
    rows = files.rows("plots/tune/trials.csv", section)
    if found:
        section.items.append(tables.trials(found))
        if rows:
            section.items.append(tables.best_trial_losses(found, rows))
    return section


def _training(files: _Files) -> Section:
    section = Section("training", "Training")
    pretrained = files.all_json("metrics/pretrain_*.json", section)
    if pretrained:
        table = tables.records("What training starts from", pretrained, tables.STUDY_PRETRAINED)
        note = (
            "“published”: top-1 on Kinetics-400 of the nets that the study starts from, as "
            "MMAction2 gives it."
        )
        section.items.append(Table(table.caption, table.columns, table.rows, note))
    trained = files.all_json("metrics/train_*.json", section)
    if trained:
        ordered = dict(sorted(trained.items(), reverse=True))  # RGB first, as everywhere
        section.items.append(tables.records("The two streams of the I3D", ordered, {}))
    _curves(files, section, "train", "Losses of the two streams by epoch (the study's Figure 3)")
    return section


def _finetuning(files: _Files) -> Section:
    section = Section("finetuning", "Fine-tuning")
    found = files.all_json("metrics/finetune_*.json", section)
    nowhere = Section("", "")
    scores = files.json("metrics/evaluate.json", nowhere)
    details = files.json("metrics/evaluate_details.json", nowhere)
    if scores:
        # A run taken out of params may have left its files behind.
        found = {run: one for run, one in found.items() if FINETUNED + run in scores}
    if found:
        section.items.append(tables.finetuning(found, scores, details))
    _curves(files, section, "finetune", "Losses of the fine-tuned models by epoch", set(found))
    return section


def _results(files: _Files) -> Section:
    section = Section("results", "Results")
    scores = files.json("metrics/evaluate.json", section)
    details = files.json("metrics/evaluate_details.json", section)
    if scores:
        section.text.append(
            "“95 %” is the interval that 95 % of resamples of the test set fall into, whole "
            "source videos being resampled. Calibration error is how far confidence and accuracy "
            "lie apart. Colour histogram and single frame see no movement: they say how much of "
            "a score could come from places and clothes."
        )
        section.items.append(tables.results(scores, details))
    for model, how in details.get("general", {}).items() if details else ():
        section.text.append(f"“{model_name(model)}” is read by {how}.")
    if details:
        section.items.append(tables.comparisons(details))
        if TWO_STREAM in details["models"]:
            section.items.append(tables.by_label(details, TWO_STREAM))
    return section


def _confusions(files: _Files) -> Section:
    section = Section("confusions", "What is taken for what")
    for name, alt in (
        ("confusion_matrix", "Confusion matrix: clips of each style by what they were taken for"),
        ("confusion_matrix_normalised", "The same as a share of each style's clips"),
    ):
        files.picture(f"plots/{name}.svg", alt, section, wide=True)
    found = files.json("metrics/confusions.json", section)
    if found:
        section.text.append(
            f"Of {found['clips']} test clips the {model_name(found['model'])} has "
            f"{found['wrong']} wrong."
        )
        if found["claims"]:
            section.items.append(tables.claims(found))
        if found["pairs"]:
            section.items.append(tables.pairs(found))
        if found["hardest"]:
            section.items.append(tables.hardest(found))
    return section


def _parameters(settings: Mapping[str, Any], paper: Mapping[str, Any] | None) -> Section:
    return Section(
        "parameters",
        "Parameters",
        [
            "Every value that decides what comes out. How the run went (commit, machine, time) is no "
            "result, so it is not on this page, which comes out the same from every run: `make "
            "repro` writes a copy with it to logs/report.html."
        ],
        [parameters.table(settings, paper)],
    )


_SECTIONS: tuple[Callable[[_Files], Section], ...] = (
    _about,
    _results,
    _confusions,
    _data,
    _looks,
    _tuning,
    _training,
    _finetuning,
)


def _curves(
    files: _Files, section: Section, folder: str, alt: str, wanted: Collection[str] | None = None
) -> None:
    """Training and validation loss of every CSV of a folder of ``plots``, or of the wanted ones."""
    panels = {}
    found = files.all_rows(f"plots/{folder}/*.csv", section)
    if wanted is not None:
        found = {name: rows for name, rows in found.items() if name in wanted}
    # RGB before flow, as everywhere.
    for name, rows in sorted(found.items(), reverse=set(found) == {"rgb", "flow"}):
        name = spaced(name)
        lines = {
            line: [float(row[column]) for row in rows if row.get(column)]
            for line, column in (("training", "train_loss"), ("validation", "val_loss"))
        }
        panels[name] = {line: values for line, values in lines.items() if values}
    panels = {name: lines for name, lines in panels.items() if lines}
    if panels:
        section.items.append(
            Picture(
                f"{CURVES}/{folder}.svg",
                alt,
                figures.svg(figures.curves(panels)),
                panels=tuple(
                    Markup(figures.inline_svg(figures.curves({name: lines}), f"losses of {name}"))
                    for name, lines in panels.items()
                ),
            )
        )
