"""Kinetics from CVDF's tar parts: each is downloaded, the dance clips are taken out of it.

A part is a tar file of some gigabytes with clips of all classes. The download goes on where it
broke off, also in a later run; a part that is done leaves a small note under ``.parts/``, so that
it is not downloaded again. Clips go to ``<out>/<split>/<name>``, replacements for corrupted ones to
``<out>/replacement/``, which is how the reader of Kinetics expects them; what lies deeper in ``<out>``
was cut from the video itself, and is left out.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import urllib.parse
import zlib
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dancestyle import files
from dancestyle.progress import progress
from dancestyle.sources.base import VIDEO_SUFFIXES, split_suffix
from dancestyle.sources.fetch import (
    CHUNK,
    Interrupted,
    MissingTable,
    Patience,
    Unavailable,
    clips_there,
    download,
)
from dancestyle.sources.kinetics import Key, Listed, parse_stem, stem_of


@dataclass(frozen=True)
class Part:
    """What became of a tar part: how many clips were kept, or why none were."""

    url: str
    kept: int = 0
    problem: str = ""
    reused: bool = False


def read_list(path: Path | str) -> list[str]:
    """URLs from a list with one a line, as CVDF publishes them."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def read_checksums(path: Path | str) -> dict[str, str]:
    """File name -> hexadecimal digest, from the output of ``md5sum`` or ``sha256sum``."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    pairs = (line.split(maxsplit=1) for line in lines)
    return {Path(pair[1].lstrip("*")).name: pair[0].lower() for pair in pairs if len(pair) == 2}


def fetch(
    urls: Sequence[str],
    wanted: Collection[Key],
    out: Path,
    *,
    keep_tars: bool = False,
    workers: int = 2,
    patience: Patience | None = None,
    checksums: Mapping[str, str] | None = None,
) -> list[Part]:
    """Take the ``wanted`` clips out of all parts; a :class:`Part` for each URL, in their order."""
    patience = patience or Patience()
    sums = checksums or {}
    there = {
        key
        for key, paths in clips_there(out).items()
        if any(path.parent.parent != out for path in paths)
    }

    def work(url: str) -> Part:
        return _fetch_part(url, wanted, there, out, keep_tars, patience, sums)

    with ThreadPoolExecutor(workers) as pool:
        return list(progress(pool.map(work, urls), len(urls), "fetch", "part"))


def list_missing(wanted: Mapping[Key, Listed], out: Path) -> int:
    """Write to ``unavailable.csv`` which clips are in no part, once all are read; how many.

    They may yet be had from the videos, so none is called gone for good; what an earlier attempt at
    that has found stays.
    """
    table = MissingTable(out / "unavailable.csv")
    there = set(wanted) & set(clips_there(out))
    table.drop(stem_of(key) for key in there)
    missing = [row for key, row in wanted.items() if key not in there]
    new = [row for row in missing if stem_of(row.key) not in table]
    if new:
        table.add(new, "in none of the parts", final=False)
    return len(missing)


def _fetch_part(
    url: str,
    wanted: Collection[Key],
    there: Collection[Key],
    out: Path,
    keep_tars: bool,
    patience: Patience,
    checksums: Mapping[str, str],
) -> Part:
    place = Path(urllib.parse.unquote(urllib.parse.urlparse(url).path))
    folder = "replacement" if "replacement" in place.name else place.parent.name or "clips"
    # Parts of different splits may have the same name.
    name = f"{place.parent.name}-{place.name}"
    digest = hashlib.sha256("\n".join(sorted(map(str, wanted))).encode()).hexdigest()
    note = out / ".parts" / f"{name}.json"
    done = _note(note)
    if done.get("wanted") == digest and done.get("url") == url:
        return Part(url, int(str(done["kept"])), reused=True)
    tar = out / "tars" / name
    try:
        if not tar.is_file():
            download(url, tar, patience)
        problem = _check_sum(tar, checksums.get(place.name, ""))
        kept = 0 if problem else extract(tar, wanted, out / folder, there)
    except (Unavailable, Interrupted) as error:
        return Part(url, problem=str(error))
    except (tarfile.TarError, EOFError, zlib.error) as error:
        problem = f"not a whole tar file: {error}"
    if problem:
        tar.unlink(missing_ok=True)  # the next run downloads it anew
        return Part(url, problem=problem)
    content = {"url": url, "wanted": digest, "bytes": tar.stat().st_size, "kept": kept}
    files.write_json(note, content)
    if not keep_tars:
        tar.unlink()
    return Part(url, kept)


def _note(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _check_sum(path: Path, expected: str) -> str:
    """What is wrong, or nothing; the length of the digest tells which kind it is."""
    if not expected:
        return ""
    digest = hashlib.new({32: "md5", 40: "sha1", 64: "sha256"}.get(len(expected), "sha512"))
    with path.open("rb") as handle:
        while chunk := handle.read(CHUNK):
            digest.update(chunk)
    found = digest.hexdigest()
    return "" if found == expected else f"checksum {found}, expected {expected}"


def extract(tar: Path, wanted: Collection[Key], folder: Path, there: Collection[Key] = ()) -> int:
    """Write the ``wanted`` clips of a tar file to ``folder``; how many are in it.

    Those that are ``there`` already are not written. Only the last part of a member's name is used,
    so nothing can be written elsewhere.
    """
    kept = 0
    with tarfile.open(tar, "r|*") as archive:  # read once from front to back
        for member in archive:
            name = member.name.rsplit("/", 1)[-1]
            key = parse_stem(split_suffix(name, VIDEO_SUFFIXES) or "")
            if key not in wanted or not member.isfile():
                continue
            kept += 1
            target = folder / name
            if key in there:
                continue
            if target.is_file() and target.stat().st_size == member.size:
                continue
            source = archive.extractfile(member)
            assert source is not None
            with files.atomic_path(target) as temporary, temporary.open("wb") as handle:
                shutil.copyfileobj(source, handle, CHUNK)
                if handle.tell() != member.size:
                    raise EOFError(f"{name} is cut short")
    return kept
