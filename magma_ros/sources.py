"""Where a checkpoint is: in a folder, among this project's own, or on the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from magma_ros.errors import CheckpointError
from magma_ros.shared_files import shared_folders

_HUB_ID = re.compile(r"(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w./-]+))?")
_FETCHED = ["*.json", "*.safetensors"]
_REST = ["*/*"]


def find(source: Path | str) -> Path:
    """The folder of a checkpoint: a path, a name such as `magma-tiny`, or a hub id such as `microsoft/Magma-8B`.

    `owner/name@revision` pins a hub checkpoint to a commit, tag or branch. Only JSON and safetensors files are
    fetched, never code or pickles; without a network the local cache is used.

    Raises:
        CheckpointError: no such folder or name, or the hub and its cache do not have it.
    """
    folder = Path(source).expanduser()
    if str(source) and folder.is_dir():
        return folder
    if str(source) in own_checkpoints():
        return own_checkpoints()[str(source)]
    hub_id = _HUB_ID.fullmatch(str(source))
    if hub_id is None:
        raise CheckpointError(
            f"checkpoint {str(source)!r}: expected a checkpoint folder, a hub id like owner/name, "
            f"or one of {sorted(own_checkpoints())}"
        )
    return _fetch(hub_id["repository"], hub_id["revision"])


def own_checkpoints() -> dict[str, Path]:
    """Name → folder of the checkpoints that come with this project."""
    found = [path.parent for folder in shared_folders("checkpoints") for path in folder.glob("*/config.json")]
    return {folder.name: folder for folder in reversed(found)}


def _fetch(repository: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - a folder needs no hub
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415 - same

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=_FETCHED, ignore_patterns=_REST))
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CheckpointError(
            f"checkpoint {repository!r}: expected a folder, or a model that the hub or its local cache has"
            f"{f' in revision {revision!r}' if revision else ''}: {reason}"
        ) from error
