"""The same frames, the same bytes: what x264 has to be told for that, besides one thread."""

from __future__ import annotations

import platform

# x264's look-ahead (macroblock tree) with AVX-512 reads memory that nothing has written, and spends
# its bits by what was there: the same frames give other bytes in another process. Older instructions
# do not; encoding takes 6 % longer. Without the tree it does not either, for a third more bytes.
EXACT = "asm=MMX2,SSE2,SSSE3" if platform.machine().lower() in ("x86_64", "amd64") else "asm=auto"
"""A part of ``x264-params``."""
