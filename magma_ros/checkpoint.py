"""A checkpoint folder: upstream's layout plus our manifest; the only place that loads weights.

Files: `config.json`, `preprocessor_config.json`, `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`,
`generation_config.json`, `model.safetensors` (or shards and their index), `dataset_statistics.json` and our
`magma_ros.json` with format, action contract, fingerprint, golden output, bounds of its actions' entropy, library
versions and the SHA-256 of every other file. In place of the weights there may be an adapter, see `adapter_files`.
"""

from __future__ import annotations

import json
import logging
import platform
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from magma_ros import adapter_files, embodiments, normalization
from magma_ros.activation import activate
from magma_ros.activation_report import ActivationReport
from magma_ros.checkpoint_files import content_of, sha256_of, verify_files
from magma_ros.embodiments import Embodiment
from magma_ros.entropy_bounds import EntropyBounds
from magma_ros.errors import CheckpointError
from magma_ros.golden import Golden, Question, ask
from magma_ros.json_files import read_object
from magma_ros.load_options import LoadOptions
from magma_ros.model.adapter import MagmaModel
from magma_ros.model.config import MagmaConfig
from magma_ros.model.network import MagmaNetwork
from magma_ros.model.processing import MagmaProcessor
from magma_ros.model.quantization import make_quantizer
from magma_ros.model.weight_files import INDEX_FILE, find_weights
from magma_ros.model.weights import load_network, save_weights
from magma_ros.pipeline import MANIFEST_NAME, STATISTICS_NAME, Pipeline, PipelineConfig
from magma_ros.policy import ModelPolicy
from magma_ros.sampling import Sampling
from magma_ros.sources import find

_DTYPES: Mapping[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_MOST_IN_FLOAT32 = 10**9
_RECORDED = ("torch", "transformers", "tokenizers", "safetensors", "numpy")
_LOG = logging.getLogger(__name__)


def load_policy(source: Path | str, options: LoadOptions | None = None) -> ModelPolicy:
    """The policy in a checkpoint, ready to act: it has passed the activation gate, whose warnings are logged.

    Args:
        source: A folder, a name or a hub id, see `sources.find`.
        options: How the network is brought up; by default in float32 on the CPU.

    Raises:
        CheckpointError: a file is missing, altered, unsafe or does not fit the others.
        ContractError, NormalizationError: its contract or statistics cannot be used.
        InvalidInputError: the temperature or its seed cannot be used.
        ActivationError: it is whole, but may not act; every reason at once.
    """
    policy, report = load_activated(source, options)
    for warning in report.warnings:
        _LOG.warning("%s: %s", source, warning)
    return policy


def load_activated(source: Path | str, options: LoadOptions | None = None) -> tuple[ModelPolicy, ActivationReport]:
    """As `load_policy`, with what the gate saw: numbers, cost, and the runtime that the policy acts with."""
    chosen = options or LoadOptions()
    sampling = Sampling(temperature=chosen.temperature, seed=chosen.sampling_seed) if chosen.temperature else None
    folder = find(source)
    pipeline = load_pipeline(folder, embodiment=chosen.embodiment)
    how = {"device": chosen.device, "dtype": chosen.dtype, "quantization": chosen.quantization}
    model = load_model(folder, **how, compile_passes=chosen.compile_passes)
    manifest = read_object(folder / MANIFEST_NAME) if (folder / MANIFEST_NAME).is_file() else {}
    report = activate(
        pipeline,
        model,
        golden=Golden.from_dict(manifest["golden"]) if "golden" in manifest else None,
        runtime=describe_runtime(**how),
        made_with=manifest.get("versions"),
    )
    bounds = EntropyBounds.from_dict(manifest["entropy_bounds"]) if "entropy_bounds" in manifest else None
    return ModelPolicy(pipeline, model, sampling=sampling, entropy_bounds=bounds), report


def describe_runtime(*, device: str, dtype: str, quantization: str) -> dict[str, str]:
    """Everything but the checkpoint that a network's numbers depend on, by name."""
    name = f"{device} ({torch.cuda.get_device_name(device)})" if device.startswith("cuda") else device
    return {"device": name, "dtype": dtype, "quantization": quantization, **_versions()}


def load_model(
    folder: Path,
    *,
    device: str = "cpu",
    dtype: str = "float32",
    quantization: str = "none",
    compile_passes: bool = False,
) -> MagmaModel:
    """The network and processor of a folder in upstream's layout; it needs no manifest. Arguments as in `LoadOptions`.

    An adapter is worked into its base's weights before they are rounded to `dtype` or quantised.

    Raises:
        CheckpointError: a file is missing or does not fit the others, or the network cannot be loaded in that form.
    """
    if dtype not in _DTYPES:
        raise CheckpointError(f"dtype: expected one of {sorted(_DTYPES)}, got {dtype!r}")
    number = _DTYPES[dtype]
    quantize = make_quantizer(quantization, device=device, dtype=number)
    config = MagmaConfig.from_dict(read_object(folder / "config.json"))
    processor = MagmaProcessor.load(folder, config)
    adapted = adapter_files.is_adapter(folder)
    network = load_network(
        adapter_files.open_base(folder) if adapted else folder,
        config,
        device=device,
        dtype=number,
        quantize=quantize,
        changes=adapter_files.read_changes(folder) if adapted else None,
    )
    return MagmaModel(network, processor, compile_passes=compile_passes)


def load_pipeline(folder: Path, *, embodiment: Path | str | None = None, verify: bool = True) -> Pipeline:
    """The pipeline of a checkpoint folder, after its files were compared with its manifest.

    Args:
        folder: The checkpoint.
        embodiment: A JSON file or a name, see `embodiments.load`. A folder without our manifest, as upstream publishes
            them, needs it; one with a manifest has its own, and another is refused.
        verify: Compare the files; without it the caller has to, see `verify_files`.

    Raises:
        CheckpointError: a file is missing or altered, or it is not known what the actions mean.
        ContractError, NormalizationError: contract or statistics cannot be used.
    """
    given = None if embodiment is None else embodiments.load(embodiment)
    if (folder / MANIFEST_NAME).is_file():
        if verify:
            verify_files(folder)
        pipeline = Pipeline.load(folder)
        if given is not None and given != Embodiment(
            pipeline.contract, pipeline.config.norm_stats, pipeline.config.lowercase_instruction
        ):
            raise CheckpointError(
                f"{folder}: its own contract and statistics, for {pipeline.contract.embodiment!r}, differ from the "
                f"embodiment {str(embodiment)!r}; leave the embodiment away to use the checkpoint's own"
            )
        return pipeline
    if given is None:
        raise CheckpointError(
            f"{folder}: no {MANIFEST_NAME} says what its actions mean; expected an embodiment: a JSON file with "
            f"contract and action statistics (see magma_ros/embodiments.py), or one of {embodiments.available()}"
        )
    _require_known_statistics(folder, given)
    config = MagmaConfig.from_dict(read_object(folder / "config.json"))
    return Pipeline(
        PipelineConfig(
            contract=given.contract,
            norm_stats=given.norm_stats,
            base_vocab_size=config.base_vocab_size,
            use_image_start_end=uses_image_start_end(folder, config),
            lowercase_instruction=given.lowercase_instruction,
        )
    )


def write_architecture(folder: Path, tokenizer: Tokenizer, documents: Mapping[str, Mapping[str, Any]]) -> None:
    """Write `tokenizer.json` and the JSON `documents` (file name → content) of a new checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, content in documents.items():
        _write_json(folder / name, content)


def copy_architecture(source: Path, folder: Path) -> None:
    """Copy the files that `write_architecture` wrote from the checkpoint `source` into a new one.

    Raises:
        CheckpointError: `source` has a manifest and is not as that says.
    """
    if (source / MANIFEST_NAME).is_file():
        verify_files(source)
    folder.mkdir(parents=True, exist_ok=True)
    others = (STATISTICS_NAME, INDEX_FILE, adapter_files.CONFIG_FILE)
    for path in content_of(source):
        if path.suffix == ".json" and path.name not in others:
            shutil.copyfile(path, folder / path.name)


def save_checkpoint(
    folder: Path, *, network: MagmaNetwork, pipeline: Pipeline, training: Mapping[str, Any], dtype: str = "bfloat16"
) -> None:
    """Write weights, statistics and manifest into a folder that already holds the architecture's files.

    Args:
        folder: Where `write_architecture` has written.
        network: Its weights are stored as `dtype`.
        pipeline: What the network was trained with.
        training: Data, seeds, steps and figures of the run, kept in the manifest.
        dtype: `float32`, `bfloat16` or `float16`.
    """
    save_weights(network, folder, dtype=_DTYPES[dtype])
    complete_checkpoint(folder, pipeline=pipeline, training=training)


def complete_checkpoint(folder: Path, *, pipeline: Pipeline, training: Mapping[str, Any]) -> None:
    """Write statistics and manifest beside weights or an adapter; arguments as in `save_checkpoint`."""
    pipeline.save(folder)
    manifest = read_object(folder / MANIFEST_NAME)
    manifest.pop("golden", None)
    manifest["versions"] = _versions()
    manifest["training"] = dict(training)
    manifest["files"] = {path.name: sha256_of(path) for path in content_of(folder)}
    _write_json(folder / MANIFEST_NAME, manifest)
    record_golden(folder)


def record_golden(folder: Path, *, question: Question | None = None) -> Golden:
    """Ask the checkpoint as it is stored, on the CPU, and keep its answer in the manifest.

    In float32, but a large one in bfloat16, which takes half of the memory; so it is served, too.

    Raises:
        CheckpointError: it cannot be loaded.
        PolicyError: it gives no answer.
    """
    files = find_weights(adapter_files.weights_folder(folder))
    num_parameters = sum(prod(tensor.shape) for tensor in files.tensors.values())
    dtype = "float32" if num_parameters <= _MOST_IN_FLOAT32 else "bfloat16"
    golden = ask(load_pipeline(folder), load_model(folder, dtype=dtype), dtype=dtype, question=question)
    _write_json(folder / MANIFEST_NAME, {**read_object(folder / MANIFEST_NAME), "golden": golden.to_dict()})
    return golden


def record_entropy_bounds(folder: Path, bounds: EntropyBounds) -> None:
    """Keep in the manifest how unsure the checkpoint's actions may be; `load_policy` gives them to its policy."""
    _write_json(folder / MANIFEST_NAME, {**read_object(folder / MANIFEST_NAME), "entropy_bounds": bounds.to_dict()})


def _require_known_statistics(folder: Path, given: Embodiment) -> None:
    """Refuse an embodiment whose statistics are none of those that a fine-tuned folder carries."""
    if not (folder / STATISTICS_NAME).is_file():
        return
    names = sorted(read_object(folder / STATISTICS_NAME))
    for name in names:
        own = normalization.load(folder / STATISTICS_NAME, embodiment=name)
        wanted = given.norm_stats
        if all(np.array_equal(getattr(own, key), getattr(wanted, key)) for key in ("q01", "q99", "mask")):
            return
    raise CheckpointError(
        f"{folder / STATISTICS_NAME}: holds the statistics of {names}, none of which are those of the embodiment "
        f"{given.contract.embodiment!r}"
    )


def uses_image_start_end(folder: Path, config: MagmaConfig) -> bool:
    """What `config.json` says or, when it does not, whether the tokenizer has the token that starts a picture."""
    stated = config.raw.get("mm_use_image_start_end")
    if stated is None:
        return MagmaProcessor.load(folder, config).tokenizer.token_to_id("<image_start>") is not None
    if not isinstance(stated, bool):
        raise CheckpointError(f"config.json: expected mm_use_image_start_end true or false, got {stated!r}")
    return stated


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in _RECORDED}}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
