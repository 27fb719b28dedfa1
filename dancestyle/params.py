"""One typed, validated model for every section of ``params.yaml``.

A stage calls :func:`load` with its section's name first of all, so that a misspelt key or a value
out of range stops it before any work is done, with the key named; ``python -m dancestyle.params``
checks all sections before the first stage. The units, the allowed values and the reason of each key
stand beside it in ``params.yaml``; the models here hold the types and bounds.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

PARAMS_FILE = Path("params.yaml")

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]


class ParamsError(ValueError):
    """A params file that cannot be used; the message names the file, the key and what is allowed."""


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values cannot be changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Machine(Section):
    """How a run goes, never what comes out of it: the only section that no stage depends on."""

    workers: Count
    cluster: str | None
    precision: Literal["auto", "fp32", "bf16"]
    devices: Positive | Literal["auto"]
    nodes: Positive
    rendezvous: str | None


class Snippet(Section):
    """Snippets of ``frames`` frames, every ``stride``-th, ``size`` square."""

    frames: Positive
    stride: Positive
    size: Annotated[int, Field(ge=32)]


class Input(Snippet):
    """What every net sees; the ResNets may see something else."""

    flow_bound: Rate
    resnet: Snippet | None = None

    @property
    def for_resnets(self) -> Input:
        """The input of the general-action nets, in pretraining and in fine-tuning."""
        own = self.resnet.model_dump() if self.resnet else {}
        return self.model_copy(update=own)


class Sample(Section):
    """The procedural dancers."""

    seed: int
    videos_per_style: Positive
    clips_per_video: Positive
    lets_dance_videos_per_class: Positive
    general_clips_per_label: Positive
    stills: Count
    short_side: Annotated[int, Field(ge=32)]
    seconds: Rate


class KineticsSource(Section):
    """A Kinetics release on disk."""

    kind: Literal["kinetics"]
    annotations: list[str]
    videos: list[str]
    name: str = "kinetics700"


class LetsDanceSource(Section):
    """Let's Dance on disk: frames, and optionally poses."""

    kind: Literal["lets_dance"]
    root: str
    fps: Rate = 25.0
    class_map: dict[str, str | None]


class FolderSource(Section):
    """Anybody's own videos: one folder a style."""

    kind: Literal["folder"]
    root: str
    clip_seconds: Rate = 10.0


Source = Annotated[KineticsSource | LetsDanceSource | FolderSource, Field(discriminator="kind")]


class Watch(Section):
    """The paths that DVC hashes to notice changed data; the same twice where there is only one."""

    first: str
    second: str
    kinetics400_ids: str


class BuildDataset(Section):
    """Which sources become the dataset, and how a clip is normalised."""

    watch: Watch
    sources: Annotated[list[Source], Field(min_length=1)]
    fps: Rate
    short_side: Annotated[int, Field(ge=16)]
    max_seconds: Rate
    min_frames: Positive
    short_clips: Literal["loop", "repeat_last", "reject"]
    gop: Positive
    crf: Annotated[int, Field(ge=0, le=51)]
    kinetics400_ids: str | None = None

    @model_validator(mode="after")
    def _nothing_cut_off(self) -> BuildDataset:
        for source in self.sources:
            if isinstance(source, FolderSource) and source.clip_seconds > self.max_seconds:
                raise ValueError(
                    f"max_seconds must be at least the folder source's clip_seconds, "
                    f"{source.clip_seconds:g}, found {self.max_seconds:g}"
                )
        return self


class Subset(Section):
    """A subset for fine-tuning: ``clips`` Kinetics clips, ``train`` of them to train on."""

    clips: Positive
    train: Share


class Split(Section):
    """How clips are dealt to train, validation and test."""

    seed: int
    by: Literal["video", "clip"]
    train: Share
    val: Share
    test: Share
    subset1: Subset
    subset2: Subset
    exclude_seen: bool = True
    min_val: Count = 0
    min_test: Count = 0

    @model_validator(mode="after")
    def _whole(self) -> Split:
        if abs(self.train + self.val + self.test - 1) > 1e-6:
            raise ValueError(
                f"train + val + test must be 1, found {self.train} + {self.val} + {self.test}"
            )
        return self


class Augment(Section):
    """Offline augmentation of the training split."""

    seed: int
    methods: list[Literal["hflip", "vflip", "colour", "noise"]]
    share: Share
    brightness: Share
    saturation: Share
    noise_sigma: Annotated[float, Field(ge=0)]


class Flow(Section):
    """Optical flow."""

    method: Literal["dis", "farneback", "tvl1", "raft"]
    short_side: Positive | None
    bound: Rate
    codec: Literal["ffv1", "h264"] = "ffv1"
    options: dict[str, Any] = {}


Optimiser = Literal["sgd", "adam", "adamw"]


class Range(Section):
    """Numbers from ``low`` to ``high``; with ``log``, equally many in each order of magnitude."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _rising(self) -> Range:
        if self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError("low must be below high and, with log, above 0")
        return self


# What tuning can search besides learning rate, dropout and optimiser: keys of train, of its loop and
# of its augmentation.
TUNABLE = Literal[
    "weight_decay",
    "batch_size",
    "label_smoothing",
    "head_multiplier",
    "schedule",
    "momentum",
    "warm_up",
    "clip_gradient",
    "smallest_crop",
    "mirror",
    "jitter",
    "saturation",
    "noise",
]


class Tune(Section):
    """The Optuna study."""

    seed: int
    stream: Literal["rgb", "flow"]
    trials: Positive
    epochs: Positive
    clips: Positive | None
    batch_size: Positive
    lr: tuple[Rate, Rate]
    dropout: tuple[Share, Share]
    optimisers: Annotated[list[Optimiser], Field(min_length=1)]
    space: dict[TUNABLE, Range | Annotated[list[int | float | str], Field(min_length=1)]]
    random_trials: Positive | None
    pruner: Literal["none", "median", "halving"]
    workers: Positive
    storage: str | None

    @model_validator(mode="after")
    def _choices(self) -> Tune:
        for key in ("batch_size", "schedule"):
            if isinstance(self.space.get(key), Range):
                raise ValueError(f"space.{key} must be a list of choices, not a range")
        return self


class Loop(Section):
    """The training loop: what every training has, beside its learning rate and length."""

    momentum: Annotated[float, Field(ge=0, lt=1)]
    nesterov: bool
    warm_up: Share
    clip_gradient: Annotated[float, Field(ge=0)]
    accumulate: Positive
    balance: Literal["none", "weights", "sampling"]
    patience: Positive | None
    ema: Annotated[float, Field(gt=0, lt=1)] | None


class Augmentation(Section):
    """Random changes of a training snippet as it is read, one draw a snippet."""

    smallest_crop: Annotated[float, Field(gt=0, le=1)]
    mirror: Share
    jitter: Share
    saturation: Share
    noise: Annotated[float, Field(ge=0)]


class Actions(Section):
    """The general-action clips that stand in for Kinetics-400; none with published weights."""

    watch: str
    source: KineticsSource | None


class PretrainedNet(Section):
    """Where the weights of a net come from.

    Attributes:
        weights: a published file, which is converted: a name, a path or a URL; None trains the net.
        start: the model file that its training starts from, or ``data/none.txt``.
        data: stills for a 2D net, a folder of clips for others; ``data/none.txt`` with ``weights``.
    """

    weights: str | None
    start: str
    data: str


class Pretrain(Section):
    """The weights that everything starts from: published files, or training on the sample's."""

    seed: int
    nets: dict[str, PretrainedNet]
    stills_epochs: Count
    stills_batch_size: Positive
    stills_lr: Rate
    epochs: Count
    non_local_epochs: Count
    batch_size: Positive
    lr: Rate
    stills_r50_epochs: Count
    inflation: Literal["spread", "centre"]
    freeze_norm: bool
    head_multiplier: Rate
    half: bool
    loop: Loop
    augmentation: Augmentation


class Starts(Section):
    """Published weights that the streams start from, each a path, a name or a URL."""

    rgb: str | None
    flow: str | None


class Train(Section):
    """The two streams of the I3D."""

    seed: int
    checkpoints: Starts
    epochs: Positive
    flow_epochs: Positive | None
    batch_size: Positive
    schedule: Literal["constant", "one_cycle", "cosine", "multistep"]
    inflation: Literal["spread", "centre"]
    milestones: list[Positive]
    freeze_norm: bool
    use_tuned: bool
    lr: Rate
    optimiser: Optimiser
    dropout: Share
    head_multiplier: Rate
    weight_decay: Annotated[float, Field(ge=0)]
    label_smoothing: Share
    use_augmented: bool
    loop: Loop
    augmentation: Augmentation


class FinetuneRun(Section):
    """One fine-tuning run; a key of ``pretrain.nets`` names its net."""

    net: str
    subset: Literal["subset1", "subset2"]
    schedule: Literal["scheduled", "optimal"]
    freeze: str
    epochs: Positive
    unfreeze: dict[Positive, str] = {}
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0

    @property
    def train_split(self) -> str:
        """The split that it trains on."""
        return f"{self.subset}_train"

    @property
    def test_split(self) -> str:
        """The split that it is tested on beside the common one."""
        return f"{self.subset}_test"


class Finetune(Section):
    """Fine-tuning of the general-action nets."""

    seed: int
    batch_size: Positive
    scheduled_lr: Rate
    scheduled_milestones: list[Positive]
    scheduled_optimiser: Optimiser
    freeze_norm: bool
    weight_decay: Annotated[float, Field(ge=0)]
    label_smoothing: Share
    head_multiplier: Rate
    loop: Loop
    augmentation: Augmentation
    runs: dict[str, FinetuneRun]


class Evaluate(Section):
    """Views and fusion at test time."""

    views: Literal["spread", "all"]
    num_clips: Positive
    num_crops: Annotated[int, Field(ge=1, le=3)]
    average: Literal["probabilities", "logits"]
    fusion: Literal["probabilities", "logits"]
    fit_weights: bool
    ensemble: list[str] | None
    bootstrap: Count
    seed: int


class ConfusionMatrix(Section):
    """The confusion matrix and the most confused pairs."""

    model: str
    pairs: Positive


class Report(Section):
    """The report."""

    title: str


SECTIONS: dict[str, type[Section]] = {
    "machine": Machine,
    "input": Input,
    "sample": Sample,
    "build_dataset": BuildDataset,
    "split": Split,
    "augment": Augment,
    "flow": Flow,
    "tune": Tune,
    "actions": Actions,
    "pretrain": Pretrain,
    "train": Train,
    "finetune": Finetune,
    "evaluate": Evaluate,
    "confusion_matrix": ConfusionMatrix,
    "report": Report,
}


def load(section: str, path: Path | str = PARAMS_FILE) -> Any:
    """The validated section of a params file.

    Raises:
        ParamsError: the file or the section is missing, is not YAML, or a key is unknown, missing
            or out of range; every offending key is listed.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: not found; run from the folder that holds it") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(content, dict) or section not in content:
        raise ParamsError(f"{path}: section '{section}' is missing")
    return validate(section, content[section], str(path))


def validate(section: str, content: Any, where: str = "params") -> Any:
    """The validated section from plain values; errors as in :func:`load`."""
    try:
        return SECTIONS[section].model_validate(content)
    except ValidationError as error:
        raise ParamsError(_explain(section, error, where)) from None


def _explain(section: str, error: ValidationError, where: str) -> str:
    lines = []
    for item in error.errors():
        key = ".".join([section, *(str(part) for part in item["loc"])])
        if item["type"] == "extra_forbidden":
            lines.append(f"{where}: {key}: unknown key; remove it or correct its spelling")
        elif item["type"] == "missing":
            lines.append(f"{where}: {key}: missing")
        else:
            found = f", found {item['input']!r}" if not isinstance(item["input"], dict) else ""
            lines.append(f"{where}: {key}: {item['msg']}{found}")
    return "\n".join(lines)


def check(path: Path | str = PARAMS_FILE) -> list[str]:
    """A sentence for everything that is wrong in a params file."""
    problems: list[str] = []
    for section in SECTIONS:
        try:
            load(section, path)
        except ParamsError as error:
            problems += str(error).splitlines()
    if not problems:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        unknown = [name for name in content if name not in SECTIONS]
        problems = [f"{path}: {name}: unknown section" for name in unknown]
    return list(dict.fromkeys(problems))


if __name__ == "__main__":
    sys.exit("\n".join(check()) or None)
