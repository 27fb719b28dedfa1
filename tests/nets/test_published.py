"""Finding published files: by path, in the cache, by name, by URL; never one that is damaged."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from dancestyle import nets
from dancestyle.nets import published
from dancestyle.nets.base import NativeInput
from dancestyle.nets.foreign_keys import SOURCES
from dancestyle.nets.published import PUBLISHED, DownloadError, PublishedFile, find

CONTENT = b"weights" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()[:8]


class Handler(http.server.SimpleHTTPRequestHandler):
    requests = 0

    def do_GET(self) -> None:
        type(self).requests += 1
        if "short" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:100])
        else:
            super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A server on this machine with a good file, a wrong one and one without a hash."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / f"net-{DIGEST}.pth").write_bytes(CONTENT)
    (folder / "net-00000000.pth").write_bytes(CONTENT)
    (folder / "plain.pt").write_bytes(CONTENT)
    Handler.requests = 0
    handler = partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "net-00000000.pth"
    path.write_bytes(b"own business")
    assert find(path) == find(str(path)) == path


def test_a_url_is_downloaded_once(server: str, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    url = f"{server}/net-{DIGEST}.pth?download=1"
    path = find(url, cache)
    assert path == cache / f"net-{DIGEST}.pth" and path.read_bytes() == CONTENT
    assert find(url, cache) == path
    assert Handler.requests == 1
    assert find(f"{server}/plain.pt", cache).read_bytes() == CONTENT
    assert sorted(p.name for p in cache.iterdir()) == [f"net-{DIGEST}.pth", "plain.pt"]


def test_a_name_leads_to_its_url(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = PublishedFile(
        f"{server}/net-{DIGEST}.pth", "i3d_r50", "mmaction2", "1 / 5", NativeInput(8, 8, 224)
    )
    monkeypatch.setitem(PUBLISHED, "here/net", entry)
    monkeypatch.setenv("DANCESTYLE_CACHE", str(tmp_path / "cache"))
    assert entry.sha256_prefix == DIGEST
    assert find("here/net").read_bytes() == CONTENT
    assert find(entry.file_name) == tmp_path / "cache" / entry.file_name
    assert Handler.requests == 1


@pytest.mark.parametrize(
    "file, sentence",
    [
        ("net-00000000.pth", f"SHA-256 begins with {DIGEST}, not with the published 00000000"),
        ("short.pt", "broke off after 100 of 7000 bytes"),
        ("none.pth", "cannot be fetched .*404"),
        ("", "no file name at its end"),
    ],
)
def test_a_bad_download_leaves_nothing(
    server: str, tmp_path: Path, file: str, sentence: str
) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(DownloadError, match=sentence):
        find(f"{server}/{file}", cache)
    assert not cache.exists() or list(cache.iterdir()) == []


def test_a_damaged_file_in_the_cache_is_not_used(tmp_path: Path) -> None:
    name = PUBLISHED["mmaction2/i3d_r50"].file_name
    (tmp_path / name).write_bytes(b"half a file")
    with pytest.raises(DownloadError, match=r"not with the published e213c223.*remove .* anew"):
        find("mmaction2/i3d_r50", tmp_path)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="give its path, or put it into"):
        find("http://127.0.0.1:9/net.pth", tmp_path)


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"'resnet' is neither a file here.*mmaction2/i3d_r50"):
        find("resnet", tmp_path)


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DANCESTYLE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert published.cache_folder() == tmp_path / "dancestyle"
    monkeypatch.setenv("DANCESTYLE_CACHE", str(tmp_path / "mine"))
    assert published.cache_folder() == tmp_path / "mine"


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_table_speaks_of_nets_that_there_are(name: str) -> None:
    entry = PUBLISHED[name]
    assert entry.url.startswith("https://")
    assert entry.net in nets.names() and entry.source in SOURCES
    assert name.startswith(entry.source.removesuffix("_2d") + "/")
    if entry.source in ("mmaction2", "torchvision", "torchvision_2d"):
        assert entry.sha256_prefix is not None and len(entry.sha256_prefix) == 8
    with_options = {"in_channels": entry.channels, **entry.options}
    with torch.device("meta"):
        assert (
            nets.create(entry.net, entry.classes, **with_options).head.out_features == entry.classes
        )
