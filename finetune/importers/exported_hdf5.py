"""HDF5 files that `exporters.libero_hdf5` wrote: our own numbers come back to the bit, with their contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from magma_ros.contract import ActionContract
from magma_ros.episodes import Episode
from magma_ros.errors import EpisodeError, ImportDataError
from magma_ros.finetune.exporters.libero_hdf5 import FLOATS, FORMAT, GROUP, libero_actions, picture_name
from magma_ros.finetune.importers.libero_hdf5 import demo_names, hdf5_files, json_attribute, open_hdf5
from magma_ros.finetune.importers.mapped import Unusable


class ExportedHdf5:
    """The files of one export; implements `Demonstrations`."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Look at what is in `paths`: files, or folders of them.

        Raises:
            ImportDataError: a file is damaged, none of ours, or of another contract or source than the first.
            ContractError: the contract can't be used.
        """
        found: list[tuple[int, Path, str]] = []
        described: dict[str, Any] | None = None
        for path in hdf5_files(paths):
            with open_hdf5(path) as file:
                data = file["data"]
                ours = json_attribute(data, GROUP, where=str(path))
                if not isinstance(ours, dict) or ours.get("format") != FORMAT:
                    raise ImportDataError(f"{path}: expected an export of format {FORMAT}, got {str(ours)[:80]}")
                if described is not None and ours != described:
                    raise ImportDataError(
                        f"{path}: expected the contract, source and cameras of the first file, got others"
                    )
                described = ours
                found += [(int(_facts(data[name])["index"]), path, name) for name in demo_names(data)]
        assert described is not None
        self._demos = [(path, name) for _, path, name in sorted(found)]
        self._described = described
        self.contract = ActionContract.from_dict(described["contract"])

    @property
    def rate_hz(self) -> float | None:
        """None: the stamps tell."""
        return None

    @property
    def origin(self) -> Mapping[str, Any]:
        """Where the episodes came from before they were exported."""
        origin: Mapping[str, Any] = self._described["source"]
        return origin

    def __len__(self) -> int:
        return len(self._demos)

    def other_readings(self, index: int) -> Mapping[str, Episode]:  # noqa: ARG002 - their forms are ours
        """None."""
        return {}

    def read(self, index: int) -> Episode | Unusable:
        """As `Demonstrations` says; the seed is the one that was exported.

        Raises:
            ImportDataError: damaged, or LIBERO's actions were changed after the export and disagree with ours.
        """
        path, name = self._demos[index]
        with open_hdf5(path) as file:
            demo, problem = file["data"][name], json_attribute(file["data"], "problem_info", where=str(path))
            facts = _facts(demo)
            try:
                arrays: dict[str, Any] = {key: np.asarray(demo[GROUP][key][()]) for key in (*FLOATS, "interventions")}
                pictures = {camera: demo["obs"][picture_name(camera)][()] for camera in self._described["cameras"]}
                theirs = np.asarray(demo["actions"][()])
                words: dict[str, Any] = {key: facts[key] for key in ("seed", "success", "operator")}
                episode = Episode(images=pictures, **arrays, instruction=problem["language_instruction"], **words)
            except (OSError, KeyError, TypeError, EpisodeError) as error:
                raise ImportDataError(f"{path}, {name}: damaged: {error}") from error
        if not np.array_equal(theirs, libero_actions(episode.actions)):
            raise ImportDataError(
                f"{path}, {name}: its `actions` were changed after the export; to import what they say now, delete "
                f"group and attributes {GROUP!r}, and use a mapping"
            )
        return episode


def _facts(demo: Any) -> dict[str, Any]:
    facts = json_attribute(demo, GROUP, where=f"{demo.file.filename}{demo.name}")
    if not isinstance(facts, dict) or not {"index", "seed", "success", "operator"} <= set(facts):
        raise ImportDataError(
            f"{demo.file.filename}{demo.name}: expected index, seed, success and operator, got {facts}"
        )
    return facts
