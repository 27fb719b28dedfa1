"""The sample as Let's Dance: JPEG frames and poses, 16 classes."""

from __future__ import annotations

from pathlib import Path

from dancestyle.sample.choreography import BALLROOM
from dancestyle.sample.layouts.jobs import FramesJob, random_size, youtube_id
from dancestyle.seeds import rng as named_rng

# The classes that have a Kinetics style, and which choreography is danced there.
_STYLED = {
    "ballet": "dancing ballet",
    "break": "breakdancing",
    "square": "square dancing",
    "swing": "swing dancing",
    "tango": "tango dancing",
    "tap": "tap dancing",
}
SHORTEST, LONGEST = 51, 75  # frames


def plan(root: Path, seed: int, videos: int, short_side: int) -> list[FramesJob]:
    """``videos`` videos of one or two clips of each class with a style, one clip of the others."""
    out = []
    for folder in sorted([*_STYLED, *BALLROOM]):
        label = _STYLED.get(folder, folder)
        for number in range(videos if folder in _STYLED else 1):
            youtube = youtube_id(seed, "lets_dance", folder, number)
            rng = named_rng(seed, "lets_dance", folder, number)
            size = random_size(rng, short_side)
            for moment in range(int(rng.integers(1, 3)) if folder in _STYLED else 1):
                frames = int(rng.integers(SHORTEST, LONGEST + 1)) if folder in _STYLED else SHORTEST
                lost = rng.choice(frames - 2, int(rng.integers(0, 3)), replace=False) + 2
                out.append(
                    FramesJob(
                        root=root,
                        folder=folder,
                        stem=f"{youtube}_{int(rng.integers(0, 90)) + moment * 120:03d}",
                        seed=seed,
                        label=label,
                        moment=moment,
                        frames=frames,
                        size=size,
                        missing=tuple(int(number) for number in sorted(lost)),
                    )
                )
    return out


def damage(root: Path, jobs: list[FramesJob]) -> None:
    """Corrupt one frame of a clip, empty one of another, and leave a stray file."""
    for number, (job, content) in enumerate(
        zip(jobs[:: max(1, len(jobs) // 2)], (None, b""), strict=False)
    ):
        folder = root / "rgb" / job.folder
        frame = sorted(folder.glob(f"{job.stem}_*.jpg"))[20 + number]
        data = frame.read_bytes()
        frame.write_bytes(data[: len(data) // 3] if content is None else content)
    (root / "rgb" / jobs[0].folder / "Thumbs.db").write_bytes(b"\x00" * 64)
