"""Note which modules each stage is made of: ``python -m stages.code``.

Writes ``data/code/STAGE.txt`` for every script of ``stages/``: a line a module that it imports,
directly or not, with a digest of what the module says. Each stage depends on its file, so that it runs
again when one of its modules has changed, and not when a remark has been reworded.
"""

from __future__ import annotations

from pathlib import Path

from dancestyle import files, imports, stage

OUT = Path("data/code")
OWN = ("__init__", "code")


def main() -> None:
    scripts = [path for path in sorted(Path("stages").glob("*.py")) if path.stem not in OWN]
    for script, text in imports.listings(scripts).items():
        files.write_text(OUT / f"{script.stem}.txt", text)
    print(f"the modules of {len(scripts)} stages")


if __name__ == "__main__":
    stage.run("code", main)
