"""The page of ``python -m dancestyle serve``, made with NiceGUI.

Everything that the page needs comes from this server: no font, script or picture of another. The
player shows the file from within the browser, so the uploaded copy is deleted as soon as it has been
looked at, also if that failed.
"""

from __future__ import annotations

import asyncio
import base64
import html
import json
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from nicegui import app, events, ui
from nicegui import run as background
from starlette.middleware.trustedhost import TrustedHostMiddleware

from dancestyle.explain import ExplainError, Explanation, explain
from dancestyle.predict import PredictError, Prediction, Predictor
from dancestyle.predict_command import clock
from dancestyle.serve_command import is_loopback
from dancestyle.video.errors import VideoError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

COLOURS = ("#1b87c9", "#d55e00", "#009e73", "#cc79a7", "#b8a200", "#6b6ecf", "#8c6d31", "#5d6670")
"""Of styles on the timeline: the first ones apart for every kind of colour vision (Okabe and Ito)."""
TOP = 5
"""Styles that are listed."""
FRAMES = 6
"""Frames that are shown of those that spoke for the style."""

STYLE = """
body { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
.page { max-width: 60rem; margin: 0 auto; padding: 1rem; width: 100%; }
.page h1 { font-size: 1.7rem; line-height: 1.2; font-weight: 600; margin: 0; }
.page h2 { font-size: 1.1rem; line-height: 1.3; font-weight: 600; margin: 1.25rem 0 .25rem; }
.soft { opacity: .75; font-size: .92rem; }
video { width: 100%; max-height: 60vh; background: #000; border-radius: .5rem; display: block; }
.line { position: relative; display: flex; width: 100%; height: 2.25rem; margin-top: .5rem;
  border-radius: .4rem; overflow: hidden; }
.line button { all: unset; cursor: pointer; box-sizing: border-box; color: #fff; font-size: .8rem;
  line-height: 2.25rem; padding: 0 .4rem; overflow: hidden; white-space: nowrap;
  text-overflow: ellipsis; border-right: 1px solid #fff8; }
.line button:focus-visible { outline: 3px solid currentColor; outline-offset: -4px; }
.line i { position: absolute; top: 0; bottom: 0; width: 3px; background: #fff; left: 0;
  box-shadow: 0 0 3px #000; pointer-events: none; }
.speaks svg { width: 100%; height: 3.5rem; display: block; }
.share { display: grid; grid-template-columns: fit-content(12rem) 1fr 4rem; gap: .3rem .75rem;
  align-items: center; width: 100%; }
.share b { font-weight: 500; }
.share div { height: .8rem; border-radius: .2rem; background: #1b87c9; }
.share span { text-align: right; font-variant-numeric: tabular-nums; }
.moments { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .75rem;
  width: 100%; }
.moments button { all: unset; cursor: pointer; }
.moments button:focus-visible { outline: 3px solid #1b87c9; }
.moments img { width: 100%; border-radius: .35rem; display: block; }
"""


@dataclass(frozen=True)
class Limits:
    """What is taken: ``size`` bytes of a file, ``seconds`` of a video."""

    size: int
    seconds: float


@dataclass(frozen=True)
class Looked:
    """What was found out about a video; ``why`` is missing for nets that cannot say."""

    prediction: Prediction
    why: Explanation | None


def look(predictor: Predictor, path: Path, progress: Callable[[float], None]) -> Looked:
    """Predict and explain; ``progress`` is called with the share done, if only roughly."""
    length = max(video_seconds(path), 1.0)
    prediction = predictor.predict(path, lambda done: progress(min(done / length, 1) / 2))
    try:
        why = explain(
            predictor,
            path,
            prediction.style,
            FRAMES,
            lambda done: progress(0.5 + min(done / length, 1) / 2),
        )
    except ExplainError:
        why = None
    return Looked(prediction, why)


def video_seconds(path: Path) -> float:
    """What the header claims, for the progress bar alone."""
    import av

    try:
        with av.open(str(path)) as container:
            return (container.duration or 0) / 1e6
    except (av.FFmpegError, ValueError):
        return 0.0


class SizeLimit:
    """ASGI middleware: bodies of more than ``size`` bytes are refused with 413, whoever sends them."""

    def __init__(self, app: Callable[..., Awaitable[None]], size: int) -> None:
        self.app, self.size = app, size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what comes in; a length that is announced is refused before anything is read."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        announced = headers.get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > self.size:
            await self._refuse(send)
            return
        taken = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.size:  # as if the sender had gone: the parser deletes what it has
                return {"type": "http.disconnect"}
            return message

        await self.app(scope, counted, send)

    @staticmethod
    async def _refuse(send: Send) -> None:
        headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": b"larger than this page takes"})


def run(predictor: Predictor, limits: Limits, host: str, port: int, *, show: bool) -> None:
    """Serve the page until the process is stopped."""
    turn = asyncio.Lock()  # one video at a time: a net uses all cores anyway
    app.add_middleware(SizeLimit, size=limits.size + 10_000)  # the form around the file
    if is_loopback(host):  # a page elsewhere that names this machine by its own name gets nothing
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "[::1]"])

    def root() -> None:
        _page(predictor, limits, turn)

    ui.run(
        root,
        host=host,
        port=port,
        title="Dancing in Style",
        favicon="💃",
        dark=None,
        language="en-US",
        show=show,
        reload=False,
        show_welcome_message=False,
    )


def _page(predictor: Predictor, limits: Limits, turn: asyncio.Lock) -> None:
    """What a visitor sees, and what happens when a video is dropped."""
    ui.add_css(STYLE)
    models = ", ".join(f"{one.meta.net} ({one.meta.modality})" for one in predictor.models)
    with ui.column().classes("page gap-2"):
        ui.html("<h1>Dancing in Style</h1>", sanitize=False)
        ui.label(
            f"{models}; {len(predictor.labels)} styles. Up to {limits.size / 1e6:.0f} MB and "
            f"{limits.seconds / 60:g} minutes of video. Nothing leaves this machine, and the file is "
            "deleted when it has been looked at."
        ).classes("soft")
        upload = ui.upload(
            label="Drop a video here, or press + to choose one",
            auto_upload=True,
            max_files=1,
            max_file_size=limits.size,
            on_rejected=lambda: ui.notify(
                f"A video of at most {limits.size / 1e6:.0f} MB, please", type="warning"
            ),
        )
        upload.props('accept="video/*,.mkv,.avi,.mov,.webm,.mp4"').classes("w-full")
        # The player shows the file that the browser has; it does not come back from here.
        upload.on(
            "added",
            js_handler="""(files) => {
              if (window.danceVideo) URL.revokeObjectURL(window.danceVideo);
              window.danceVideo = URL.createObjectURL(files[0]);
            }""",
        )
        bar = ui.linear_progress(0, show_value=False).props("instant-feedback").classes("w-full")
        bar.set_visibility(False)
        message = ui.label().props("role=alert id=message").classes("text-negative")
        results = ui.column().classes("w-full gap-1").props("id=results")

    share = 0.0

    def note(done: float) -> None:  # called from the thread that predicts
        nonlocal share
        share = done

    ui.timer(0.2, lambda: bar.set_value(share))

    async def received(event: events.UploadEventArguments) -> None:
        nonlocal share
        share = 0.0
        results.clear()
        message.set_text("")
        bar.set_visibility(True)
        name = event.file.name
        try:
            with tempfile.TemporaryDirectory(prefix="dancestyle-") as folder:
                path = Path(folder) / f"video{Path(name).suffix}"
                await event.file.save(path)
                async with turn:
                    looked = await background.io_bound(look, predictor, path, note)
            if looked is not None:  # None where the server is being stopped
                with results:
                    _show(name, looked)
        except (VideoError, PredictError) as error:
            reason = error.reason if isinstance(error, VideoError) else str(error)
            message.set_text(f"{name}: {reason}")
        finally:
            bar.set_visibility(False)
            upload.reset()

    upload.on_upload(received)


def _show(name: str, looked: Looked) -> None:
    """The results below the upload."""
    prediction, why = looked.prediction, looked.why
    top = prediction.top(TOP)
    ui.html(f"<h2>{html.escape(name)}: {html.escape(prediction.style)}</h2>", sanitize=False)
    ui.html(_player(prediction), sanitize=False).classes("w-full")
    ui.run_javascript(_PLAYER_SCRIPT)
    if why is not None:
        ui.html(_speaks(why, prediction.seconds), sanitize=False).classes("w-full speaks")
        ui.label(f"How much each moment spoke for {why.style}: above the line for, below against.")
    ui.html("<h2>Styles</h2>", sanitize=False)
    ui.html(_shares(top), sanitize=False).classes("w-full")
    if why is not None and why.moments:
        ui.html(f"<h2>What spoke for {html.escape(why.style)}</h2>", sanitize=False)
        ui.label("Bright places spoke for it; the rest of the frame is darkened.").classes("soft")
        ui.html(_moments(why), sanitize=False).classes("w-full")
    with ui.expansion("As JSON").classes("w-full"):
        ui.code(json.dumps(prediction.to_dict(), indent=2), language="json").classes("w-full")


_PLAYER_SCRIPT = """
(() => {
  const video = document.getElementById("player");
  const mark = document.getElementById("mark");
  video.onerror = () => { document.getElementById("unplayable").hidden = false; video.hidden = true; };
  video.ontimeupdate = () => {
    mark.style.left = `calc(${100 * video.currentTime / Number(mark.dataset.seconds)}% - 1px)`;
  };
  video.src = window.danceVideo;
  document.getElementById("results").onclick = (event) => {
    const button = event.target.closest("button[data-second]");
    if (button) video.currentTime = Number(button.dataset.second);
  };
})();
"""


def _player(prediction: Prediction) -> str:
    """The player and the timeline under it, whose parts jump to where they begin."""
    seconds = prediction.seconds
    colours = {style: COLOURS[min(n, 7)] for n, (style, _) in enumerate(_by_time(prediction))}
    parts = []
    for part in prediction.stretches:
        width = _percent((part.end - part.start) / seconds)
        what = (
            f"{clock(part.start)} to {clock(part.end)}: {part.style}, {_percent(part.probability)}"
        )
        parts.append(
            f'<button data-second="{part.start:.2f}" title="{html.escape(what)}" '
            f'aria-label="{html.escape(what)}" style="width:{width};background:{colours[part.style]}">'
            f"{html.escape(part.style)}</button>"
        )
    return (
        '<video id="player" controls playsinline muted></video>'
        '<p id="unplayable" class="soft" hidden>This browser cannot play the file; what was found in '
        "it is below.</p>"
        f'<div class="line" id="timeline">{"".join(parts)}'
        f'<i id="mark" data-seconds="{seconds:.2f}"></i></div>'
    )


def _by_time(prediction: Prediction) -> list[tuple[str, float]]:
    """Styles on the timeline with their seconds, the longest first."""
    spent: dict[str, float] = {}
    for part in prediction.stretches:
        spent[part.style] = spent.get(part.style, 0.0) + part.end - part.start
    return sorted(spent.items(), key=lambda item: (-item[1], item[0]))


def _shares(top: list[tuple[str, float]]) -> str:
    rows = "".join(
        f'<b>{html.escape(style)}</b><div style="width:{_percent(share)}"></div>'
        f"<span>{_percent(share)}</span>"
        for style, share in top
    )
    return f'<div class="share" id="styles">{rows}</div>'


def _speaks(why: Explanation, seconds: float) -> str:
    """Scores over time as an area, as wide as the timeline."""
    step = max(1, len(why.scores) // 400)
    at, scores = why.seconds[::step], why.scores[::step]
    points = " ".join(
        f"{1000 * second / max(seconds, 1e-9):.1f},{50 - 48 * score:.1f}"
        for second, score in zip(at, scores, strict=True)
    )
    area = f"0,50 {points} 1000,50"
    return (
        '<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="how much each '
        f'moment spoke for {html.escape(why.style)}"><polygon points="{area}" fill="#1b87c9"/>'
        '<line x1="0" y1="50" x2="1000" y2="50" stroke="currentColor" stroke-width="1" '
        'vector-effect="non-scaling-stroke"/></svg>'
    )


def _moments(why: Explanation) -> str:
    shown = "".join(
        f'<button data-second="{one.second:.2f}"><img alt="{clock(one.second)}, the places that spoke '
        f'for {html.escape(why.style)}" src="{_data_uri(one.overlay())}">{clock(one.second)}</button>'
        for one in why.moments
    )
    return f'<div class="moments" id="moments">{shown}</div>'


def _data_uri(image: np.ndarray, width: int = 320) -> str:
    """A picture (H, W, 3), RGB, as a JPEG of ``width`` pixels inside an address."""
    height = round(image.shape[0] * width / image.shape[1])
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    _, content = cv2.imencode(".jpg", cv2.cvtColor(resized, cv2.COLOR_RGB2BGR))
    return f"data:image/jpeg;base64,{base64.b64encode(content.tobytes()).decode()}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
