"""The weights that everything starts from: published ones, or trained on the sample's small world.

Where ``params.yaml`` names a published file, that is loaded. Otherwise a 2D net learns the pose of
rendered stills (standing in for ImageNet), and the ResNet-50 I3Ds, inflated from such a net, learn
general actions (standing in for Kinetics-400).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from dancestyle import files, nets
from dancestyle.clips import Clip
from dancestyle.nets import checkpoints, kinetics400
from dancestyle.nets.base import VideoNet
from dancestyle.nets.inflate import inflate
from dancestyle.params import Input, Machine, Pretrain
from dancestyle.seeds import derive, rng
from dancestyle.training.checkpoints import (
    CheckpointError,
    ModelMeta,
    load_model,
    read_weights,
    save_model,
    save_weights,
)
from dancestyle.training.data import InputSpec, train_loader, view_loader
from dancestyle.training.fit import FitResult, fit
from dancestyle.training.module import TrainingError
from dancestyle.training.pose import OUTPUTS, PoseRegressor, Stills, count, net_2d
from dancestyle.training.recipe import Recipe
from dancestyle.training.tasks import (
    HISTORY,
    augmentation_of,
    history_csv,
    input_spec,
    keys_of,
    loader_workers,
    loop_options,
    train_classifier,
)

VALIDATION = 0.15
KINDS_2D = {"inception_2d": "inception", "resnet_2d": "resnet"}
STARTS = {"inception_2d": "i3d_inception", "resnet_2d": "i3d_r50"}
NETS_3D = {"r50": "i3d_r50", "r50_nl": "i3d_r50_nl"}
NO_LABELS = ("unknown",)  # of a net whose head was dropped: no style is called so


def net_name(name: str) -> str:
    """The net, as :func:`dancestyle.nets.create` knows it, of a 3D entry of ``pretrain.nets``.

    Raises:
        TrainingError: there is none.
    """
    found = NETS_3D.get(name, name)
    if found not in nets.names():
        known = ", ".join([*KINDS_2D, *NETS_3D, *nets.names()])
        raise TrainingError(f"params.yaml: pretrain.nets: no net '{name}'; there are: {known}")
    return found


def is_resnet(name: str) -> bool:
    """Whether a net of ``pretrain.nets`` gets the ResNets' input: all but the 2D Inception."""
    return name != "inception_2d"


def hold_out(clips: Sequence[Clip], seed: int) -> tuple[list[Clip], list[Clip]]:
    """Training and validation clips: about 15 % of the videos, each by a draw of its own.

    Of few videos as many more as it takes to have two clips.
    """
    draws = {
        video: rng(seed, "hold out", video).random() for video in {clip.video_id for clip in clips}
    }
    held: set[str] = set()
    for video in sorted(draws, key=lambda one: (draws[one], one)):
        if draws[video] >= VALIDATION and sum(clip.video_id in held for clip in clips) >= 2:
            break
        held.add(video)
    return (
        [clip for clip in clips if clip.video_id not in held],
        [clip for clip in clips if clip.video_id in held],
    )


def train_2d(name: str, params: Pretrain, size: Input, settings: Machine, out: Path) -> FitResult:
    """Train ``inception_2d`` or ``resnet_2d`` on the stills and write its weights."""
    torch.manual_seed(derive(params.seed, "net", name))
    net = net_2d(KINDS_2D[name], OUTPUTS)
    epochs = params.stills_epochs if name == "inception_2d" else params.stills_r50_epochs
    recipe = Recipe(
        seed=params.seed,
        epochs=epochs,
        batch_size=params.stills_batch_size,
        lr=params.stills_lr,
        precision=settings.precision,
        **loop_options(params.loop),
    )
    native = nets.create(STARTS[name], 1).native
    path = params.nets[name].data
    edge = int(count(path) * (1 - VALIDATION))
    train, val = (
        Stills(path, size.size, params.seed, part, native.mean, native.std)
        for part in (slice(0, edge), slice(edge, None))
    )
    workers = loader_workers(settings, clips=False)
    keys = keys_of("pretrain", size, is_resnet(name), "pretrain.stills_batch_size")
    result = fit(
        PoseRegressor(net, recipe),
        train_loader(train, recipe.seed, recipe.batch_size, workers),
        view_loader(val, recipe.batch_size, workers),
        recipe,
        name,
        (size.size, edge),
        keys=replace(keys, snippet=keys.snippet[-1:]),  # a still has no frames
    )
    weights = net.state_dict()
    save_weights(out, weights, half=params.half, net=name, task="pose of rendered stills")
    return result


def train_actions(
    name: str,
    clips: Sequence[Clip],
    labels: Sequence[str],
    start: Path,
    params: Pretrain,
    size: Input,
    settings: Machine,
    out: Path,
) -> FitResult:
    """Train a 3D net on general actions.

    ``r50`` is inflated from the 2D ResNet-50 in the file ``start``. ``r50_nl`` goes on from the
    ``r50`` in that file: its non-local blocks begin as the identity, so that they can be put into a
    trained net (Wang et al. 2018, section 4.1). Other nets begin afresh.
    """
    torch.manual_seed(derive(params.seed, "net", name))
    net = nets.create(net_name(name), len(labels), dropout=0.2)
    if name == "r50":
        inflate(net, read_weights(start)["state_dict"], params.inflation)
    elif name == "r50_nl":
        _begin_with(net, start)
    spec: InputSpec = input_spec("rgb", size, net.native)
    recipe = Recipe(
        seed=params.seed,
        epochs=params.non_local_epochs if name == "r50_nl" else params.epochs,
        batch_size=params.batch_size,
        lr=params.lr,
        head_multiplier=params.head_multiplier,
        **loop_options(params.loop),
    )
    if params.freeze_norm:
        net.freeze((), norm=True)
    train, val = hold_out(clips, params.seed)
    result = train_classifier(
        net,
        len(labels),
        train,
        val,
        spec,
        recipe,
        name,
        settings,
        augmentation=augmentation_of(params.augmentation),
        keys=keys_of("pretrain", size, resnet=True),
    )
    save_model(out, net, ModelMeta(net_name(name), tuple(labels), spec), half=params.half)
    return result


def _begin_with(net: VideoNet, start: Path) -> None:
    """The weights of the ``r50`` in a model file; all but the non-local blocks come from there."""
    weights = load_model(start).net.state_dict()
    own = net.state_dict()
    fitting = {key: value for key, value in weights.items() if value.shape == own[key].shape}
    lacking = [key for key in own if key not in fitting and "non_local" not in key]
    if lacking:
        raise CheckpointError(f"{start}: not an r50 of the same labels; it lacks {lacking[0]}")
    net.load_state_dict(own | fitting)


def convert(
    name: str,
    published: str,
    size: Input,
    out: Path,
    metrics: Path,
    plots: Path,
    inflation: str = "spread",
) -> None:
    """Write a published file as ours, with how many tensors came from it; nothing is trained.

    Args:
        name: which net, a key of ``pretrain.nets``.
        published: a path, a URL, or a name of :data:`~dancestyle.nets.published.PUBLISHED`.
        size: input sizes, kept in the model file.
        out: the model file.
        metrics: gets the facts.
        plots: gets a table without rows, since there are no epochs.
        inflation: of the kernels of a 2D file for a 3D net, see :mod:`dancestyle.nets.inflate`.

    Raises:
        WeightsError, DownloadError, ValueError: the file cannot be had or does not fit the net.
    """
    entry = checkpoints.known(published)
    if entry and entry.channels != 3:
        raise TrainingError(
            f"params.yaml: pretrain.nets.{name}.weights: {published} takes flow, and nets are "
            "fine-tuned on RGB; train.checkpoints.flow starts the flow stream from it"
        )
    path = checkpoints.find(published)
    if name in KINDS_2D:
        report = checkpoints.load(nets.create(STARTS[name], 1), path)
        if report.source != "torchvision_2d":
            raise TrainingError(
                f"params.yaml: pretrain.nets.{name}.weights: {published} is of a 3D net "
                f"({report.source}); the streams are inflated from a 2D one: torchvision/googlenet "
                "or torchvision/resnet50"
            )
        weights = checkpoints.read(path)
        save_weights(out, weights, net=name, task="published")
        facts: dict[str, object] = {"weights": published, "loaded": len(weights)}
    else:
        entry = entry if entry and entry.net == net_name(name) else None
        options = dict(entry.options) if entry else {}
        net = nets.create(net_name(name), len(kinetics400.LABELS), **options)
        report = checkpoints.load(net, path, inflation=inflation)
        labels = tuple(kinetics400.LABELS)
        if report.dropped_head:
            labels = NO_LABELS
            net.reset_head(len(labels))
        spec = input_spec("rgb", size, entry.input if entry else net.native)
        save_model(out, net, ModelMeta(net_name(name), labels, spec, options))
        print(f"{name}: {report}")
        facts = {"weights": published, "source": report.source, "loaded": len(report.loaded)}
    files.write_json(metrics, facts)
    files.write_text(plots, history_csv([], HISTORY))
