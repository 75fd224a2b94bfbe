"""MiniMind's public files, for the larger presets: how large they are first, then the files.

The huggingface_hub library downloads: it goes on where a broken download stopped, and checks what
has arrived.
"""

import errno
import shutil
from pathlib import Path

from minimind_lite.recipe import PUBLIC_FILES, PUBLIC_REPOSITORY, PUBLIC_SIZES


def download(directory: Path) -> list[Path]:
    """Say the sizes, make sure that the disk has room, download; files that are there stay.

    Raises ValueError if the disk is too small, ConnectionError without a network, each with what
    to do; what has been downloaded is kept.
    """
    from huggingface_hub import HfApi, hf_hub_download  # slow to import, and nothing else needs it

    try:
        found = HfApi().get_paths_info(PUBLIC_REPOSITORY, list(PUBLIC_FILES.values()), repo_type="dataset")
        sizes = {file.path: file.size for file in found if not (directory / file.path).is_file()}
        for name, size in sizes.items():
            print(f"{name}  {size / 1e9:.2f} GB")
        check_room(directory, sum(sizes.values()))
        for name in sizes:
            hf_hub_download(PUBLIC_REPOSITORY, name, repo_type="dataset", local_dir=directory)
    except ValueError:
        raise
    except Exception as error:  # what its layers raise without a network has no class in common
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        about = " and ".join(f"{size} GB" for size in PUBLIC_SIZES.values())
        raise ConnectionError(
            f"the Hugging Face hub could not be reached ({type(error).__name__}). The files, of about "
            f"{about}, need a network; run this again, and it goes on where it stopped, or copy "
            f"{' and '.join(PUBLIC_FILES.values())} from another machine to {directory}."
        ) from error
    return [directory / name for name in PUBLIC_FILES.values()]


def check_room(directory: Path, needed: int) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(directory).free
    if needed > free:
        raise ValueError(
            f"the files need {needed / 1e9:.1f} GB and {directory} has {free / 1e9:.1f} GB left: "
            "make room, or choose another directory with --out."
        )
