"""The plan foretells what training takes: measured for magma-tiny, worked out by hand for Magma-8B."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from magma_ros.finetune.gradient_checkpointing import BLOCKS, enable_gradient_checkpointing
from magma_ros.finetune.memory_plan import MemoryPlan, memory_plan
from magma_ros.finetune.parts import Parts, prepare
from magma_ros.finetune.rehearsal import LiveBytes, Workload, rehearse
from magma_ros.model.adapter import MagmaModel
from magma_ros.model.config import MagmaConfig
from magma_ros.model.network import MagmaNetwork
from magma_ros.model.processing import MagmaProcessor
from magma_ros.model.tiny import TinySize
from tests.finetune.small_steps import action_samples, backward
from tests.model import released_config
from tests.model.random_checkpoints import NANO, write_random_checkpoint

GIB = 2**30
BATCH = 8

LLAMA_LAYER = 2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336 + 2 * 4096
TOWER = 843_390_000  # reference 1.1
PROJECTOR = 3072 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096
ENDS = TOWER + PROJECTOR + 4096 + 2 * 128320 * 4096
"""Numbers of Magma-8B outside its Llama's blocks, with 128320 tokens, by the tables of the reference (1.6, 1.9)."""

LORA_16 = 32 * 16 * (2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336))
"""Numbers of a LoRA of rank 16 on every linear layer of all 32 blocks: rank times in and out of each."""


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """magma-tiny at its own size."""
    return write_random_checkpoint(tmp_path_factory.mktemp("tiny"), size=TinySize())


def tiny_model(folder: Path) -> MagmaModel:
    """magma-tiny as training has it."""
    from magma_ros.checkpoint import load_model  # noqa: PLC0415 - beside its use

    model = load_model(folder)
    model.network.train().language_model.set_attn_implementation("eager")
    return model


def released(*, num_layers: int) -> MagmaConfig:
    """Magma-8B's configuration, with fewer of its blocks: so it is rehearsed sooner."""
    text = {**released_config.CONFIG["text_config"], "num_hidden_layers": num_layers}
    return MagmaConfig.from_dict({**released_config.CONFIG, "text_config": text})


def measured_peak(run: Callable[[], object]) -> int:
    """Most bytes that torch's allocator had given out at once during `run`, above where it began."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        run()
    events = [e for e in found.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak


@pytest.mark.parametrize(
    ("parts", "kept", "precision"),
    [
        (Parts(), "all", "fp32"),
        (Parts(), "inputs", "bf16"),
        (Parts(method="lora", whole=("projector",)), "all", "fp32"),
        (Parts(frozen=("vision_tower",)), "all", "bf16"),
    ],
)
def test_a_pass_of_magma_tiny_takes_what_was_planned(
    parts: Parts, kept: str, precision: str, tiny_folder: Path
) -> None:
    """The planned peak of forward and backward is within 25 % of what torch's allocator gives out in a real one."""
    model = tiny_model(tiny_folder)
    samples = action_samples(model, count=BATCH)
    prepare(model.network, parts)
    if kept == "inputs":
        enable_gradient_checkpointing(model.network)
    backward(model, samples[:1])  # libraries allocate for good on their first use
    model.network.zero_grad()
    measured = measured_peak(lambda: backward(model, samples, bf16=precision == "bf16"))
    workload = workload_of(model, precision=precision, gradient_checkpointing=kept == "inputs")
    assert measured == pytest.approx(rehearse(model.network.config, parts, workload).passing_bytes, rel=0.25)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_scores_of_every_trained_token_are_planned(precision: str, tmp_path: Path) -> None:
    """Of sixteen actions an answer, each of 113 tokens has 8266 scores: most of what a nano network takes."""
    model = tiny_model(write_random_checkpoint(tmp_path, size=replace(NANO, num_text_tokens=8000)))
    samples = [
        replace(one, answer=np.append(np.tile(one.answer[:-1], 16), one.answer[-1]))
        for one in action_samples(model, count=BATCH)
    ]
    prepare(model.network, Parts())
    backward(model, samples[:1])
    model.network.zero_grad()
    measured = measured_peak(lambda: backward(model, samples, bf16=precision == "bf16"))
    short = workload_of(model, precision=precision)
    workload = replace(short, num_tokens=short.num_tokens + 15 * 7, num_trained_tokens=113)
    planned = rehearse(model.network.config, Parts(), workload).passing_bytes
    assert measured == pytest.approx(planned, rel=0.25)
    few = rehearse(model.network.config, Parts(), replace(workload, num_trained_tokens=8)).passing_bytes
    scores = BATCH * 105 * model.network.config.text.vocab_size * 4
    assert 2 * scores < planned - few < 5 * scores


def workload_of(model: MagmaModel, **changes: object) -> Workload:
    """A batch of `action_samples` on a CPU."""
    processor: MagmaProcessor = model.processor
    one = processor([action_samples(model)[0].model_input])
    plain = Workload(
        samples_per_pass=BATCH,
        num_tokens=one.ids.shape[1] + 8,
        num_crops=len(one.pixels),
        crop_side_px=one.pixels.shape[-1],
        attention="eager",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_full_training_takes_twenty_bytes_a_number() -> None:
    """In single precision 4 for the number, 4 for its gradient, 8 for its moments and 4 for its average."""
    workload = Workload(samples_per_pass=1, num_tokens=300, num_crops=0, crop_side_px=512, gradient_checkpointing=True)
    plan = memory_plan(released(num_layers=3), Parts(), workload, device="cuda:0", device_bytes=4000 * GIB)
    numbers = ENDS + 3 * LLAMA_LAYER
    assert plan.num_trained == pytest.approx(numbers, rel=1e-5)
    sizes = (plan.weights_bytes, plan.gradient_bytes, plan.optimizer_bytes, plan.average_bytes)
    assert sizes == pytest.approx([4 * numbers, 4 * numbers, 8 * numbers, 4 * numbers], rel=1e-5)
    assert plan.peak_bytes == pytest.approx(20 * numbers, rel=0.1)
    assert plan.fits
    assert () == plan.advice


def test_lora_of_magma_8b_by_hand() -> None:
    """Its base is 2 bytes a number, what is trained 4; six of its blocks stand for all.

    A block of the Llama keeps, in bytes for each token of width h = 4096 and i = 14336: two norms' inputs in float32
    (8h), LoRA's copies of seven inputs in bfloat16 (12h + 2i), queries, keys, values and the attention's answer
    (8h), and the gate before and after silu and the other factor (6i): 28h + 8i.
    """
    parts = Parts(method="lora", frozen=("vision_tower", "projector"))
    workload = Workload(samples_per_pass=1, num_tokens=300, num_crops=0, crop_side_px=512, base_dtype="bfloat16")
    plan = memory_plan(released(num_layers=6), parts, workload, device="cuda:0", device_bytes=80 * GIB)
    lora = LORA_16 * 6 // 32
    assert lora == plan.num_trained
    assert plan.weights_bytes == pytest.approx(2 * (ENDS + 6 * LLAMA_LAYER) + 4 * lora, rel=1e-4)
    assert plan.passing_bytes == pytest.approx(6 * 300 * (28 * 4096 + 8 * 14336), rel=0.25)


def test_qlora_stores_the_blocks_in_nf4() -> None:
    """Of a block's matrices a number takes 0.516 bytes, of all else 2; a LoRA's pass, and one matrix widened."""
    config = released(num_layers=3)
    parts = Parts(method="qlora", frozen=("vision_tower", "projector"))
    workload = Workload(samples_per_pass=1, num_tokens=50, num_crops=0, crop_side_px=512, base_dtype="bfloat16")
    small, plain = (rehearse(config, replace(parts, method=method), workload) for method in ("qlora", "lora"))
    blocks, lora = 3 * (LLAMA_LAYER - 2 * 4096), 3 * LORA_16 // 32
    others = ENDS + 3 * 2 * 4096
    assert small.weights_bytes == pytest.approx(2 * others + 0.515625 * blocks + 4 * lora, rel=1e-4)
    assert plain.num_trained == small.num_trained
    assert plain.passing_bytes + 2 * 4096 * 14336 == small.passing_bytes


def test_checkpointing_keeps_one_input_a_block() -> None:
    """Each further block costs its input in the residual stream, to the byte, and the inside of one block is kept."""
    parts = Parts(method="lora", frozen=("vision_tower", "projector"))
    workload = Workload(
        samples_per_pass=4,
        num_tokens=300,
        num_crops=0,
        crop_side_px=512,
        base_dtype="bfloat16",
        gradient_checkpointing=True,
    )
    two, three = (rehearse(released(num_layers=n), parts, workload).passing_bytes for n in (2, 3))
    assert 4 * 300 * 4096 * 2 == three - two
    assert 1.0 < two / (4 * 300 * (28 * 4096 + 8 * 14336)) < 2.0


def nano_config(folder: Path) -> MagmaConfig:
    """A network that is rehearsed in no time."""
    from magma_ros.json_files import read_object  # noqa: PLC0415 - beside its use

    return MagmaConfig.from_dict(read_object(write_random_checkpoint(folder, size=NANO) / "config.json"))


def test_what_does_not_fit_comes_with_changes_that_do(tmp_path: Path) -> None:
    """Each change is named as the recipe writes it, takes less than the one before, and the last one fits."""
    config, workload = nano_config(tmp_path), Workload(samples_per_pass=16, num_tokens=40, num_crops=1, crop_side_px=64)
    roomy = memory_plan(config, Parts(), workload, device="cuda:0", device_bytes=GIB)
    assert () == roomy.advice
    tight = memory_plan(config, Parts(), workload, device="cuda:0", device_bytes=roomy.peak_bytes // 2)
    assert not tight.fits
    assert tight.advice[0].startswith("gradient_checkpointing: true: ")
    assert tight.advice[1].startswith("and accumulate: 16, one sample at a time: ")
    assert tight.advice[-1].endswith(", fits")
    assert 1 == sum("fits" in line for line in tight.advice)


def test_where_nothing_helps_everything_was_tried(tmp_path: Path) -> None:
    """On a GPU the remedies go up to QLoRA without the tower; only more devices are left where there is no other."""
    config = nano_config(tmp_path)
    workload = Workload(
        samples_per_pass=1, num_tokens=40, num_crops=1, crop_side_px=64, gradient_checkpointing=True, averaged=False
    )
    advice = memory_plan(config, Parts(), workload, device="cuda:0", device_bytes=1000).advice
    words = (
        "and parts.method: lora: ",
        "and parts.frozen: [vision_tower]: ",
        "and parts.method: qlora: ",
        "nothing more",
    )
    assert 4 == len(advice)
    assert all(line.startswith(word) for line, word in zip(advice, words, strict=True))
    light = Parts(method="lora", frozen=("vision_tower",))
    (only,) = memory_plan(config, light, workload, device="cpu", device_bytes=1000).advice
    assert only.startswith("nothing more helps on this device")


def test_the_table_says_it_in_seven_lines(tmp_path: Path) -> None:
    """Sizes with units, counts, and whether it fits; the parts add up to the peak."""
    config, workload = nano_config(tmp_path), Workload(samples_per_pass=2, num_tokens=40, num_crops=1, crop_side_px=64)
    plan = memory_plan(config, Parts(), workload, device="cpu", device_bytes=2 * GIB)
    lines = plan.table().splitlines()
    assert 6 == len(lines)
    assert "memory on cpu, 2.00 GiB of which 90% may be planned:" == lines[0]
    assert lines[-1].endswith("fits")
    assert f"{plan.num_trained:,} trained" in lines[2]
    assert plan.weights_bytes + plan.optimizer_bytes + plan.average_bytes + plan.passing_bytes == plan.peak_bytes
    assert "DOES NOT FIT" in replace(plan, device_bytes=1000).table()


def test_devices_share_what_is_kept_between_steps(tmp_path: Path) -> None:
    """With FSDP on four devices weights, moments and average are a quarter; each has its own activations and blocks."""
    config, workload = nano_config(tmp_path), Workload(samples_per_pass=2, num_tokens=40, num_crops=1, crop_side_px=64)

    def plan(num_shards: int) -> MemoryPlan:
        shared = replace(workload, num_shards=num_shards)
        return memory_plan(config, Parts(), shared, device="cpu", device_bytes=GIB)

    one, four = plan(1), plan(4)
    assert [one.weights_bytes // 4, one.optimizer_bytes // 4, one.average_bytes // 4] == [
        four.weights_bytes,
        four.optimizer_bytes,
        four.average_bytes,
    ]
    network = MagmaNetwork(config)
    blocks = [sum(p.numel() for p in m.parameters()) for m in network.modules() if isinstance(m, BLOCKS)]
    assert 5 + 2 == len(blocks)
    gathered = sum(p.numel() for p in network.parameters()) - sum(blocks) + 2 * max(blocks)
    own = four.passing_bytes - four.gradient_bytes - 2 * 2 * gathered
    assert one.passing_bytes - one.gradient_bytes == own


def test_summed_gradients_are_there_from_the_second_part_on(tmp_path: Path) -> None:
    """With accumulation the gradients of the first part live while the second one runs."""
    config, workload = nano_config(tmp_path), Workload(samples_per_pass=2, num_tokens=40, num_crops=1, crop_side_px=64)
    alone, summed = (rehearse(config, Parts(), replace(workload, accumulate=n)) for n in (1, 3))
    assert (
        alone.passing_bytes + 3.5 * alone.num_trained
        < summed.passing_bytes
        <= alone.passing_bytes + 4.1 * alone.num_trained
    )


def test_live_bytes_follow_a_tensor_from_birth_to_death() -> None:
    """A view costs nothing, a death gives back, and what was there before does not count."""
    before = torch.zeros(1000)
    with LiveBytes([before]) as live:
        one = before + 1.0
        assert 4000 == live.now
        view = one[::2].view(2, 250)
        before.add_(view.sum())
        assert 4000 == live.now
        two = torch.cat([one, one])
        assert 12000 == live.now
        del one
        assert 12000 == live.now  # the view still holds it
        del view, two
        assert 0 == live.now
    assert 12000 <= live.peak <= 12064


def test_a_rehearsal_takes_no_memory() -> None:
    """Blocks of Magma-8B are gone through and torch's allocator gives out next to nothing."""
    workload = Workload(samples_per_pass=1, num_tokens=64, num_crops=0, crop_side_px=512, base_dtype="bfloat16")
    parts = Parts(method="lora", frozen=("vision_tower",))
    assert measured_peak(lambda: rehearse(released(num_layers=2), parts, workload)) < 2**20
