"""Ways to compute optical flow, behind one interface.

A method is a callable: two pictures uint8 (H, W, 3), RGB, to the displacement of every pixel of the
first, float32 (H, W, 2): x to the right and y down, in pixels, such that
``first[y, x] = second[y + flow[y, x, 1], x + flow[y, x, 0]]``.

| name | | source |
|---|---|---|
| ``dis`` | fast, the default | Kroeger et al., Fast Optical Flow using Dense Inverse Search, 2016 |
| ``farneback`` | as fast, less exact | Farneback, Two-Frame Motion Estimation, 2003 |
| ``tvl1`` | what the I3D paper uses; slow | Zach et al., A Duality Based Approach, 2007 |
| ``raft`` | learnt; wants a GPU | Teed and Deng, RAFT, 2020 |
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

Method = Callable[[np.ndarray, np.ndarray], np.ndarray]

SMALL = 128
"""Pixels of the shorter side below which ``dis`` goes down to single pixels by itself, and from which
its preset ``fine`` filters in place of refining."""
STEADY = 0.4
"""Pixels from the mean around a vector below which ``steady`` takes the difference for noise."""


class FlowError(ValueError):
    """A method that does not exist, an option that it does not have, or one that makes no sense."""


def names() -> list[str]:
    """The names that :func:`create` knows."""
    return sorted(_METHODS)


def libraries(name: str) -> tuple[str, ...]:
    """Packages that compute a method's flow, but for OpenCV, which all of this project needs."""
    return ("torch", "torchvision") if name == "raft" else ()


def create(name: str, **options: Any) -> Method:
    """The method of that name.

    Raises:
        FlowError: there is no such method or option; the message lists those that exist.
    """
    if name not in _METHODS:
        raise FlowError(f"flow method '{name}' does not exist; there are {', '.join(names())}")
    maker = _METHODS[name]
    known = list(inspect.signature(maker).parameters)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise FlowError(f"flow method '{name}' has no option {unknown}; it has {known}")
    return maker(**options)


def of_clip(method: Method, frames: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """The fields between consecutive frames: float32 (T - 1, H, W, 2), in pixels.

    Field ``t`` goes from frame ``t`` to frame ``t + 1``.
    """
    if len(frames) < 2:
        raise FlowError("flow needs two frames or more")
    return np.stack([method(frames[i], frames[i + 1]) for i in range(len(frames) - 1)])


def _grey(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)


def dis(
    preset: Literal["fine", "refined", "ultrafast", "fast", "medium"] = "fine",
    finest_scale: int | None = None,
    refinements: int | None = None,
) -> Method:
    """Dense inverse search.

    Args:
        preset: ``fine`` and ``refined`` work at full size. Below ``SMALL`` both are as thorough as
            ``medium`` is at half size. Above it ``fine`` has no variational refinement, which would
            take half of the time, but :func:`steady`, whatever the options below; ``refined`` has it,
            and follows the edges of what moves, and real films, closer. The others are OpenCV's, made
            for large pictures: they work at a half or a quarter of the size and enlarge the flow,
            which blurs those edges.
        finest_scale: the flow is computed at 1 / 2**finest_scale of the size, and enlarged. None is
            the preset's, but 0 for pictures with a shorter side below ``SMALL``: there it leaves a
            third of the error.
        refinements: variational refinement iterations; None is the preset's. More suppress noise.
    """
    full_size = preset in ("fine", "refined")
    presets = {
        "fine": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
        "refined": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
        "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
        "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
        "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
    }
    if preset not in presets:
        raise FlowError(f"flow method 'dis' has no preset {preset!r}; it has {sorted(presets)}")
    searches: dict[tuple[int, ...], Any] = {}

    def prepare(size: tuple[int, ...]) -> Any:
        search: Any = cv2.DISOpticalFlow_create(presets[preset])  # type: ignore[attr-defined]
        if full_size and min(size) >= SMALL:
            stride, steps, refined = (7, 12, 0) if preset == "fine" else (5, 4, 1)
            search.setPatchStride(stride)
            search.setGradientDescentIterations(steps)
            search.setVariationalRefinementIterations(refined)
        if full_size or finest_scale is not None or min(size) < SMALL:
            search.setFinestScale(finest_scale or 0)
        if refinements is not None:
            search.setVariationalRefinementIterations(refinements)
        return search

    def compute(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        # One object for each size: it adapts its settings to small pictures and never back.
        size = first.shape[:2]
        if size not in searches:
            searches[size] = prepare(size)
        field = np.asarray(searches[size].calc(_grey(first), _grey(second), None))
        return steady(field) if preset == "fine" and min(size) >= SMALL else field

    return compute


def steady(field: np.ndarray) -> np.ndarray:
    """A field float32 (H, W, 2) without the noise of its patches.

    A component that is within ``STEADY`` pixels of the mean of the 15 x 15 around it becomes that
    mean; others are left, and with them the edges of what moves (a sigma filter: Lee, Digital image
    smoothing and the sigma filter, 1983).
    """
    steadied = cv2.blur(field, (15, 15))
    rows = field.reshape(len(field), -1)
    means = steadied.reshape(rows.shape)  # a view
    far = cv2.compare(cv2.absdiff(rows, means), STEADY, cv2.CMP_GE)  # type: ignore[call-overload]
    cv2.copyTo(rows, far, means)
    return steadied


def farneback(
    levels: int = 3, window: int = 15, iterations: int = 3, neighbourhood: int = 5
) -> Method:
    """Polynomial expansion; the defaults are those of OpenCV's examples."""
    sigma = {5: 1.1, 7: 1.5}.get(neighbourhood)
    if sigma is None:
        raise FlowError(f"farneback.neighbourhood must be 5 or 7, found {neighbourhood}")

    def compute(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        start = np.zeros((*first.shape[:2], 2), np.float32)
        return cv2.calcOpticalFlowFarneback(
            _grey(first), _grey(second), start, 0.5, levels, window, iterations, neighbourhood,
            sigma, 0,
        )  # fmt: skip

    return compute


def tvl1(
    preset: Literal["fast", "opencv"] = "fast", settings: dict[str, float] | None = None
) -> Method:
    """Total variation with an L1 data term.

    Args:
        preset: ``opencv`` is OpenCV's own default, which goes through five scales. ``fast`` starts
            from the flow of ``dis`` and works at full size only: a fifth of the time, and no more
            error (``docs/flow.md``).
        settings: by OpenCV's names, over the preset: ``{"WarpingsNumber": 3}``.
    """
    if preset not in _TVL1_PRESETS:
        raise FlowError(f"flow method 'tvl1' has no preset {preset!r}; it has 'fast', 'opencv'")
    solver: Any = cv2.optflow.DualTVL1OpticalFlow_create()  # type: ignore[attr-defined]
    for key, value in {**_TVL1_PRESETS[preset], **(settings or {})}.items():
        if not hasattr(solver, f"set{key}"):
            raise FlowError(f"flow method 'tvl1' has no setting {key}; see OpenCV's DualTVL1")
        getattr(solver, f"set{key}")(value)
    start = dis("medium", finest_scale=0)

    def compute(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        begin = start(first, second) if solver.getUseInitialFlow() else None
        return np.asarray(solver.calc(_grey(first), _grey(second), begin))

    return compute


_TVL1_PRESETS: dict[str, dict[str, Any]] = {
    "opencv": {},
    "fast": {
        "UseInitialFlow": True,
        "ScalesNumber": 1,
        "WarpingsNumber": 5,
        "OuterIterations": 2,
        "InnerIterations": 20,
        "Epsilon": 0.02,
        "Lambda": 0.25,
        "Theta": 0.2,
    },
}


def raft(
    weights: str | None = None,
    size: Literal["small", "large"] = "small",
    iterations: int = 12,
    device: str = "cpu",
) -> Method:
    """RAFT as in torchvision.

    Args:
        weights: a file with torchvision's weights for that size, or ``hub`` to download them.
        size: of the net.
        iterations: of its updates.
        device: of torch: ``cpu``, ``cuda``, ...
    """
    import torch
    from torchvision.models import optical_flow

    if size not in ("small", "large"):
        raise FlowError(f"raft.size must be small or large, found {size!r}")
    if weights is None:
        raise FlowError("raft needs weights: flow.options.weights: a file, or hub to download them")
    make = optical_flow.raft_small if size == "small" else optical_flow.raft_large
    if weights == "hub":
        net = make(weights="DEFAULT")
    else:
        if not Path(weights).is_file():
            raise FlowError(f"raft.weights: {weights}: not found")
        net = make()
        net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    net.eval().to(device)

    def compute(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        height, width = first.shape[:2]
        # Sides of the net's input: multiples of 8, at least 128; shorter pictures are enlarged.
        scale = max(1.0, 128 / min(height, width))
        target = [8 * -(-round(side * scale) // 8) for side in (height, width)]
        pair = torch.stack([torch.from_numpy(np.array(image)) for image in (first, second)])
        pair = pair.permute(0, 3, 1, 2).to(device).float() / 127.5 - 1  # (2, 3, H, W)
        if target != [height, width]:
            pair = torch.nn.functional.interpolate(
                pair, target, mode="bilinear", align_corners=False
            )
        with torch.inference_mode():
            flow = net(pair[:1], pair[1:], num_flow_updates=iterations)[-1][0]  # (2, H', W')
        field = flow.permute(1, 2, 0).float().cpu().numpy()
        return resize(field, (height, width))

    return compute


def resize(field: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A field float32 (H, W, 2) at another ``size`` (height, width).

    The vectors are displacements in pixels, so they shrink and grow with the picture: at half the
    width every x component is half as long. Zero stays zero.
    """
    height, width = field.shape[:2]
    if (height, width) == tuple(size):
        return field
    smaller = size[0] <= height and size[1] <= width
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    resized = cv2.resize(field, (size[1], size[0]), interpolation=how)
    return resized * np.array([size[1] / width, size[0] / height], np.float32)


_METHODS: dict[str, Callable[..., Method]] = {
    "dis": dis,
    "farneback": farneback,
    "tvl1": tvl1,
    "raft": raft,
}
