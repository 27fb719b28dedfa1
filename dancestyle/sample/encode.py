"""Writing what the camera saw: H.264, JPEG and archives of arrays, the same bytes every time."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from dancestyle.files import atomic_path, write_bytes
from dancestyle.sample.scene import Image
from dancestyle.video import x264

# A display matrix of a quarter turn, 16.16 fixed point but the last column 2.30 (ISO 14496-12).
_QUARTER_TURN = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)


def write_video(path: Path, frames: Image, rate: Fraction, crf: int) -> None:
    """Write frames (T, H, W, 3) RGB, H and W even, as H.264 at ``rate`` frames a second."""
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # several would share the bits out by chance
        stream.options = {
            "crf": str(crf),
            "preset": "veryfast",
            "threads": "1",
            "x264-params": x264.EXACT,
        }
        for picture in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))


def turn_video(path: Path) -> None:
    """Mark a video as recorded by a phone on its side: players shall turn it by a quarter."""
    content = bytearray(path.read_bytes())
    header = content.index(b"tkhd")
    matrix = header + 4 + 4 + 5 * 4 + 4 * 2 + 8  # version 0: times, ids, layer, volume before it
    content[matrix : matrix + 36] = _QUARTER_TURN
    write_bytes(path, bytes(content))


def jpeg(picture: Image, quality: int) -> bytes:
    """A picture (H, W, 3) RGB as a JPEG file."""
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()


def write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Write files into an archive, uncompressed, with no time of day in it."""
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), content)


def write_npz(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write arrays as ``np.savez`` does, but with no time of day in the archive."""
    files = {}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.asanyarray(array), allow_pickle=False)
        files[f"{name}.npy"] = buffer.getvalue()
    write_zip(path, files)
