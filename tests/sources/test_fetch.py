from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from web import Web, serve

from dancestyle.__main__ import main
from dancestyle.sources import fetch, fetch_cvdf, fetch_youtube, kinetics
from dancestyle.sources.fetch import Interrupted, Patience, Unavailable
from dancestyle.video.reader import decode
from dancestyle.video.writer import write_clip

FAST = Patience(attempts=4, wait=0.001)
HEADER = "label,youtube_id,time_start,time_end,split\n"


@pytest.fixture
def web() -> Iterator[Web]:
    with serve() as found:
        yield found


def tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def lists(folder: Path, *rows: str) -> str:
    path = folder / "train.csv"
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return str(path)


def test_download_goes_on_where_it_broke_off(web: Web, tmp_path: Path) -> None:
    web.files["/a"] = bytes(range(250)) * 40
    web.faults["/a"] = [("cut", 3000), 503, ("cut", 1000)]
    assert fetch.download(web.url("/a"), tmp_path / "a", FAST) == 10_000
    assert (tmp_path / "a").read_bytes() == web.files["/a"]
    assert web.ranges == ["bytes=3000-", "bytes=4000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_later_run_goes_on_too(web: Web, tmp_path: Path) -> None:
    web.files["/a"] = b"x" * 5000
    web.faults["/a"] = [("cut", 100), ("cut", 100)]
    with pytest.raises(Interrupted, match="broke off after 200 of 5000"):
        fetch.download(web.url("/a"), tmp_path / "a", Patience(2, 0.001))
    assert not (tmp_path / "a").exists()
    fetch.download(web.url("/a"), tmp_path / "a", FAST)
    assert web.ranges[-1] == "bytes=200-" and (tmp_path / "a").stat().st_size == 5000


@pytest.mark.parametrize("there", [5000, 6000])
def test_a_part_that_is_whole_or_too_long(web: Web, tmp_path: Path, there: int) -> None:
    web.files["/a"] = b"x" * 5000
    (tmp_path / "a.part").write_bytes(b"x" * there)
    assert fetch.download(web.url("/a"), tmp_path / "a", FAST) == 5000


def test_what_is_gone_is_asked_for_once(web: Web, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="HTTP 404"):
        fetch.download(web.url("/a"), tmp_path / "a", FAST)
    assert web.asked["/a"] == 1


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="refused"):
        fetch.download("http://127.0.0.1:9/a", tmp_path / "a", Patience(2, 0.001))


def test_waiting_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    errors = iter(
        [Interrupted("1"), Interrupted("2", after=50), Interrupted("3"), Interrupted("4")]
    )

    def work() -> None:
        raise next(errors)

    with pytest.raises(Interrupted, match="4"):
        Patience(4, 1.0).keep_trying(work)
    assert 1 <= waited[0] <= 1.5 and waited[1] == 50 and 4 <= waited[2] <= 6


def test_only_dance_clips_are_taken_from_parts(web: Web, tmp_path: Path) -> None:
    out = tmp_path / "out"
    dance, other = "aaaaaaaaaaa_000001_000011.mp4", "bbbbbbbbbbb_000001_000011.mp4"
    web.files["/k700/train/part_0.tar.gz"] = tar(
        {f"./{dance}": b"dance", other: b"other", "../../evil.mp4": b"evil", "notes.txt": b""}
    )
    web.files["/k700/train/part_1.tar.gz"] = tar({dance: np.random.default_rng(0).bytes(9999)})[
        :5000
    ]
    web.files["/k700/replacement_for_corrupted.tgz"] = tar({f"x/{dance}": b"better"})
    (tmp_path / "parts.txt").write_text(
        "".join(web.url(path) + "\n" for path in web.files) + web.url("/k700/train/gone.tar.gz\n")
    )
    rows = ["zumba,aaaaaaaaaaa,1,11,train", "juggling,bbbbbbbbbbb,1,11,train"]
    annotations = lists(tmp_path, *rows)
    command = ["fetch", "kinetics", "--annotations", annotations, "--out", str(out), "--wait", "0"]
    command += ["--parts", str(tmp_path / "parts.txt")]
    assert main(command) == 1
    assert not (out / "unavailable.csv").exists()  # the parts that failed may hold it
    assert (out / "train" / dance).read_bytes() == b"dance"
    assert sorted(path.name for path in out.rglob("*.mp4")) == [dance, dance]
    assert not list((out / "tars").iterdir())
    clips = kinetics.read([annotations], [str(out)]).clips
    assert [Path(clip.origin).read_bytes() for clip in clips] == [b"better"]

    web.files["/k700/train/part_1.tar.gz"] = web.files["/k700/train/gone.tar.gz"] = tar({})
    assert main([*command, "--keep-tars"]) == 0
    assert web.asked["/k700/train/part_0.tar.gz"] == 1
    assert len(list((out / "tars").iterdir())) == 2


@pytest.mark.parametrize("first", ["parts", "videos"])
def test_parts_and_videos_fill_one_folder(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    monkeypatch.chdir(tmp_path)
    both, video, part = (f"{letter * 11}_000001_000003" for letter in "abc")
    web.files["/k700/train/part_0.tar.gz"] = tar({f"{both}.mp4": b"part", f"{part}.mp4": b"part"})
    web.files["/k700/replacement.tgz"] = tar({f"{both}.mp4": b"better"})
    Path("parts.txt").write_text("".join(web.url(path) + "\n" for path in web.files))
    web.files["/aaaaaaaaaaa"] = web.files["/bbbbbbbbbbb"] = film(4)
    annotations = lists(tmp_path, *(f"zumba,{letter * 11},1,3,train" for letter in "abcd"))
    command = ["fetch", "kinetics", "--annotations", annotations, "--out", "out", "--wait", "0"]
    parts, videos = [*command, "--parts", "parts.txt"], [*command, "--url", web.url("/{id}")]

    def found() -> set[str]:
        return {path.relative_to("out").as_posix() for path in Path("out").rglob("*.mp4")}

    def missing() -> dict[str, str]:
        rows = Path("out/unavailable.csv").read_text().splitlines()[1:]
        return {row.split(",")[0]: row.split(",", 2)[2] for row in rows}

    gone = f"{'d' * 11}_000001_000003"
    own, cut = {f"train/{part}.mp4"}, {f"train/zumba/{video}.mp4"}
    if first == "parts":
        assert main(parts) == 0
        assert found() == own | {f"train/{both}.mp4", f"replacement/{both}.mp4"}
        assert missing() == dict.fromkeys((video, gone), "no,in none of the parts")
        before = found()
        assert main(videos) == 0
        assert found() == before | cut and not web.asked["/aaaaaaaaaaa"]
    else:
        assert main(videos) == 0
        assert set(missing()) == {part, gone}
        assert main(parts) == 0
        assert found() == own | cut | {f"train/zumba/{both}.mp4"}
    assert missing() == {gone: "yes,HTTP 404"}
    assert main(parts) == main(videos) == 0 and missing() == {gone: "yes,HTTP 404"}


def test_checksums(web: Web, tmp_path: Path) -> None:
    good, bad = tar({"a": b"a"}), tar({"b": b"b"})
    web.files |= {"/train/good.tar": good, "/train/bad.tar": bad}
    (tmp_path / "sums").write_text(
        f"{hashlib.md5(good).hexdigest()}  good.tar\n"
        f"{hashlib.sha256(good).hexdigest()} *./bad.tar\n"
    )
    sums = fetch_cvdf.read_checksums(tmp_path / "sums")
    urls = [web.url(path) for path in web.files]
    parts = fetch_cvdf.fetch(urls, [], tmp_path / "out", patience=FAST, checksums=sums)
    assert not parts[0].problem and parts[1].problem.startswith("checksum")


def film(seconds: int) -> bytes:
    """A film whose every second has its own level of grey."""
    buffer = Path("film.mp4")
    frames = (np.full((32, 48, 3), 20 * (n // 25), np.uint8) for n in range(25 * seconds))
    write_clip(buffer, frames)
    return buffer.read_bytes()


def test_videos_are_cut_exactly(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    web.files["/aaaaaaaaaaa"] = film(8)
    web.files["/bbbbbbbbbbb"] = b"no video"
    web.faults["/aaaaaaaaaaa"] = [429, ("cut", 500)]
    web.faults["/ddddddddddd"] = [503] * 10
    annotations = lists(
        tmp_path,
        "zumba,aaaaaaaaaaa,2,4,train",
        "salsa dancing,aaaaaaaaaaa,5,7,train",
        "zumba,aaaaaaaaaaa,50,60,train",
        "zumba,bbbbbbbbbbb,1,11,train",
        "zumba,ccccccccccc,1,11,train",
        "zumba,ddddddddddd,1,11,train",
        "juggling,eeeeeeeeeee,1,11,train",
    )
    command = ["fetch", "kinetics", "--annotations", annotations, "--out", "out"]
    command += ["--url", web.url("/{id}"), "--wait", "0.001", "--attempts", "3"]
    assert main(command) == 0
    frames = decode("out/train/zumba/aaaaaaaaaaa_000002_000004.mp4")
    assert len(frames) == 50
    levels = frames.mean(axis=(1, 2, 3)).round(-1).astype(int).tolist()
    assert levels == [40] * 25 + [60] * 25
    assert Path("out/train/salsa dancing/aaaaaaaaaaa_000005_000007.mp4").is_file()
    table = fetch.MissingTable(Path("out/unavailable.csv"))
    assert table.final() == {
        "aaaaaaaaaaa_000050_000060",
        "bbbbbbbbbbb_000001_000011",
        "ccccccccccc_000001_000011",
    }
    assert len(table) == 4 and web.asked["/eeeeeeeeeee"] == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["train", "unavailable.csv"]

    before = dict(web.asked)
    web.files["/ddddddddddd"], web.faults["/ddddddddddd"] = film(4), []
    assert main(command) == 0
    asked = {path: count for path, count in web.asked.items() if count != before.get(path)}
    assert list(asked) == ["/ddddddddddd"]
    assert len(fetch.MissingTable(Path("out/unavailable.csv"))) == 3


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ERROR: [youtube] abc: Private video. Sign in if you've been granted access", Unavailable),
        ("ERROR: [youtube] abc: Video unavailable", Unavailable),
        ("WARNING: x\nERROR: unable to download: HTTP Error 404: Not Found", Unavailable),
        ("ERROR: unable to download: HTTP Error 429: Too Many Requests", Interrupted),
        ("ERROR: unable to download: HTTP Error 403: Forbidden", Interrupted),
        (
            "ERROR: [youtube] abc: Video unavailable. This content isn't available, try again later. "
            "The current session has been rate-limited by YouTube",
            Interrupted,
        ),
        ("ERROR: [youtube] abc: Sign in to confirm you're not a bot", Interrupted),
        ("ERROR: timed out", Interrupted),
        ("", Interrupted),
    ],
)
def test_what_yt_dlp_says(text: str, kind: type[Exception]) -> None:
    assert type(fetch_youtube.reason_of(text)) is kind


FAKE_YT_DLP = """
import shutil, sys
from pathlib import Path
url, folder = sys.argv[-1], Path(sys.argv[sys.argv.index("--output") + 1]).parent
name = url.rpartition("=")[2]
with open("asked.txt", "a") as asked:
    asked.write(name + "\\n")
if name.startswith("private"):
    sys.exit("WARNING: a word first\\nERROR: [youtube] private-ppp: Private video. Sign in")
if name.startswith("busy") and Path("asked.txt").read_text().count(name) < 2:
    (folder / "video.webm.part").write_text("half")
    sys.exit("ERROR: unable to download: HTTP Error 429: Too Many Requests")
shutil.copy("film.mp4", folder / "video.mp4")
"""


def test_yt_dlp_is_asked_and_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for yt-dlp: what it is told, and what becomes of its answers."""
    monkeypatch.chdir(tmp_path)
    film(6)
    Path("bin/yt_dlp").mkdir(parents=True)
    Path("bin/yt_dlp/__main__.py").write_text(FAKE_YT_DLP)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "bin"))
    monkeypatch.setattr(fetch_youtube, "PAUSE", 0.0)
    annotations = lists(
        tmp_path,
        "zumba,busy-_bbbbb,1,3,train",
        "zumba,busy-_bbbbb,3,5,train",
        "zumba,private-ppp,1,3,train",
        "zumba,-aaaaaaaaaa,0,2,train",  # must not be taken for an option
    )
    command = ["fetch", "kinetics", "--annotations", annotations, "--out", "out", "--wait", "0"]
    assert main(command) == 0
    assert sorted(path.name for path in Path("out").rglob("*.mp4")) == [
        "-aaaaaaaaaa_000000_000002.mp4",
        "busy-_bbbbb_000001_000003.mp4",
        "busy-_bbbbb_000003_000005.mp4",
    ]
    asked = Path("asked.txt").read_text().split()
    assert sorted(asked) == ["-aaaaaaaaaa", "busy-_bbbbb", "busy-_bbbbb", "private-ppp"]
    table = Path("out/unavailable.csv").read_text()
    assert "private-ppp_000001_000003,zumba,yes,Private video. Sign in" in table
    assert main(command) == 0  # nothing is left to ask for
    assert Path("asked.txt").read_text().split() == asked


def test_without_yt_dlp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        fetch_youtube.subprocess,
        "run",
        lambda *_, **__: fetch_youtube.subprocess.CompletedProcess(
            [], 1, "", "python: No module named yt_dlp"
        ),
    )
    with pytest.raises(SystemExit, match="pip install yt-dlp"):
        fetch_youtube.yt_dlp()("aaaaaaaaaaa", tmp_path)


def test_the_command_explains_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["fetch", "kinetics", "--annotations", "nowhere.csv", "--out", str(tmp_path)]
    assert main(arguments) == 2
    assert "nowhere.csv not found" in capsys.readouterr().err
