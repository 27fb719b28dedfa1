"""What x264 has to be told: to give the same bytes for the same frames, and clips for nets to see."""

from __future__ import annotations

import platform

# x264's look-ahead (macroblock tree) with AVX-512 reads memory that nothing has written, and spends
# its bits by what was there: the same frames give other bytes in another process. Older instructions
# do not; encoding takes 6 % longer. Without the tree it does not either, for a third more bytes.
EXACT = "asm=MMX2,SSE2,SSSE3" if platform.machine().lower() in ("x86_64", "amd64") else "asm=auto"
"""A part of ``x264-params``: the same frames, the same bytes, given one thread."""

FOR_NETS = "no-psy=1:subme=3"
"""A part of ``x264-params``. Noise that pleases the eye is left out, and motion is searched for a
little more closely than ``veryfast`` does: smaller, quicker to decode, and the same optical flow
(``python -m benchmarks.clip_encoding``)."""
