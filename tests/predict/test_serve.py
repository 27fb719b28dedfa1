"""The page: in a real browser with a real file, and what it refuses."""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dancestyle import __main__, serve_command
from dancestyle.predict import load_model
from dancestyle.video.errors import VideoError

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), "")
DRIVER = shutil.which("chromedriver") or ""

needs_nicegui = pytest.mark.skipif(
    not __import__("importlib.util").util.find_spec("nicegui"),
    reason="NiceGUI is not there: pip install -r requirements-serve.txt",
)
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="no browser here: apt-get install chromium chromium-driver",
)


def test_it_listens_to_this_machine_alone() -> None:
    parser = argparse.ArgumentParser()
    serve_command.add_parser(parser.add_subparsers())
    assert parser.parse_args(["serve"]).host == "127.0.0.1"
    assert all(map(serve_command.is_loopback, ("127.0.0.1", "::1", "localhost", "127.8.0.1")))
    assert not any(map(serve_command.is_loopback, ("0.0.0.0", "192.168.1.5", "example")))


def test_what_keeps_it_from_serving_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert __main__.main(["serve", "--port", str(port)]) == 2
        assert f"cannot listen at 127.0.0.1:{port}" in capsys.readouterr().err
    assert __main__.main(["serve", "--max-mb", "0"]) == 2
    assert "must be above 0" in capsys.readouterr().err
    monkeypatch.setattr(serve_command.importlib.util, "find_spec", lambda name: None)
    assert __main__.main(["serve"]) == 2
    assert "pip install -r requirements-serve.txt" in capsys.readouterr().err


def test_a_video_that_is_too_long_is_refused(
    models: dict[str, Path], videos: dict[str, Path]
) -> None:
    predictor = load_model(models["rgb"], max_seconds=12)
    with pytest.raises(VideoError, match="longer than 12 s"):
        predictor.predict(videos["long"])


@needs_nicegui
@pytest.mark.parametrize(
    ("announced", "chunks", "status"),
    [(b"80", [40, 40], 200), (b"200", [], 413), (None, [60, 60, 60], "gone"), (b"x", [], 413)],
)
def test_bodies_are_limited_announced_or_not(
    announced: bytes | None, chunks: list[int], status: int | str
) -> None:
    from dancestyle.serve import SizeLimit

    sent: list[dict[str, Any]] = []
    seen: list[str] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            seen.append(message["type"])
            if message["type"] == "http.disconnect":
                return
            if not message.get("more_body"):
                await send({"type": "http.response.start", "status": 200})
                return

    waiting = [
        {"type": "http.request", "body": b"x" * size, "more_body": n + 1 < len(chunks)}
        for n, size in enumerate(chunks)
    ]

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"content-length", announced)] if announced else []
    scope = {"type": "http", "headers": headers}
    asyncio.run(SizeLimit(inner, 100)(scope, receive, send))
    if status == "gone":
        assert sent == [] and seen == ["http.request", "http.disconnect"]
    else:
        assert sent[0]["status"] == status


@pytest.fixture(scope="module")
def server(
    models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, Path]]:
    """The command in a process of its own: its port, and the folder that its uploads go to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uploads = tmp_path_factory.mktemp("uploads")
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    files = [option for path in models.values() for option in ("--model", str(path))]
    process = subprocess.Popen(
        [sys.executable, "-m", "dancestyle", "serve", "--port", str(port), "--max-mb", "3", *files],
        env={**clean, "TMPDIR": str(uploads), "PYTHONPATH": str(ROOT)},
        cwd=uploads,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for _ in range(600):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.2)
        yield port, uploads
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    made.set_script_timeout(60)
    yield made
    made.quit()


def wait_for(browser: Any, script: str, seconds: float = 240) -> Any:
    """The value of a script as soon as it is one."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = browser.execute_script(f"return {script}")
        if found:
            return found
        time.sleep(0.3)
    raise AssertionError(f"never came: {script}; the page: {browser.page_source[-3000:]}")


def drop(browser: Any, path: Path) -> None:
    wait_for(browser, "document.querySelector('input[type=file]') !== null")
    browser.find_element("css selector", "input[type=file]").send_keys(str(path))


@pytest.mark.slow
@needs_nicegui
@needs_browser
def test_a_video_is_dropped_and_looked_at(
    server: tuple[int, Path], browser: Any, models: dict[str, Path], videos: dict[str, Path]
) -> None:
    port, uploads = server
    browser.set_window_size(1280, 1000)
    browser.get(f"http://127.0.0.1:{port}/")
    drop(browser, videos["long"])
    wait_for(browser, "document.querySelector('#moments img') !== null")
    wanted = load_model(list(models.values())).predict(videos["long"])
    text = browser.find_element("id", "results").text
    assert f"long.mp4: {wanted.style}" in text
    for style, share in wanted.top(3):
        assert f"{style}\n{100 * share:.1f}%" in browser.find_element("id", "styles").text
    parts = browser.find_elements("css selector", "#timeline button")
    assert [part.text for part in parts] == [one.style for one in wanted.stretches]

    # The player has the file, from the browser's own memory, and the frames lead to their moment.
    length = wait_for(browser, "document.getElementById('player').duration", 30)
    assert length == pytest.approx(22.8, abs=0.1)
    moments = browser.find_elements("css selector", "#moments button")
    assert 2 <= len(moments) <= 6
    moments[-1].click()
    second = float(moments[-1].get_attribute("data-second"))
    assert browser.execute_script("return document.getElementById('player').currentTime") == (
        pytest.approx(second, abs=0.05)
    )
    broken = "return [...document.images].filter((one) => one.naturalWidth === 0).length"
    assert browser.execute_script(broken) == 0

    # Nothing is kept, nothing is asked of anybody else, nothing went wrong.
    assert [path for path in uploads.rglob("*") if path.is_file()] == []
    messages = [json.loads(row["message"])["message"] for row in browser.get_log("performance")]
    asked = {
        message["params"]["request"]["url"].split(",")[0]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    ours = (f"http://127.0.0.1:{port}/", "data:", f"blob:http://127.0.0.1:{port}/")
    assert asked and all(url.startswith(ours) for url in asked), asked
    assert [row for row in browser.get_log("browser") if row["level"] == "SEVERE"] == []

    # Readable on a phone, and in the dark.
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True},
    )
    over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(f"return {over}") <= 0
    grounds = set()
    for scheme in ("light", "dark"):
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        time.sleep(0.5)
        ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        ink = browser.execute_script("return getComputedStyle(document.body).color")
        assert ground != ink
        grounds.add(ground)
        keep = os.environ.get("DANCESTYLE_SCREENSHOTS")
        if keep:
            browser.save_screenshot(str(Path(keep) / f"serve-{scheme}.png"))
    assert len(grounds) == 2


@pytest.mark.slow
@needs_nicegui
@needs_browser
def test_what_is_no_video_costs_one_line(
    server: tuple[int, Path], browser: Any, videos: dict[str, Path]
) -> None:
    port, uploads = server
    browser.get(f"http://127.0.0.1:{port}/")
    drop(browser, videos["bad"])
    message = wait_for(browser, "document.getElementById('message').textContent.trim()")
    assert message.startswith("bad.mp4: not a video")
    assert browser.find_elements("id", "timeline") == []
    assert [path for path in uploads.rglob("*") if path.is_file()] == []


@pytest.mark.slow
@needs_nicegui
def test_large_bodies_and_other_names_are_refused(server: tuple[int, Path]) -> None:
    port, _ = server

    def ask(method: str, headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.putrequest(method, "/", skip_host=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        status = connection.getresponse().status
        connection.close()
        return status

    assert ask("GET", {"Host": f"127.0.0.1:{port}"}) == 200
    assert ask("GET", {"Host": "somewhere.example"}) == 400
    assert ask("POST", {"Host": f"127.0.0.1:{port}", "Content-Length": str(4_000_000)}) == 413
