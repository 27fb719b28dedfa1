"""The one error that reading a video can end in."""

from __future__ import annotations

from pathlib import Path


class VideoError(ValueError):
    """A file that cannot be used as a video.

    Attributes:
        reason: a few words without the path, fit for a table of rejected files
    """

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type[VideoError], tuple[str, str]]:
        """Pickle by both arguments: errors travel from worker processes."""
        return type(self), (self.path, self.reason)
