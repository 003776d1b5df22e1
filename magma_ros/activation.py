"""The gate in front of every policy: a checkpoint whose network does not use what it is shown may not move an arm.

Everything is asked as the policy itself asks: an observation through `Pipeline.encode`, one input at a time through the
model, its tokens back through `Pipeline.decode`. Thresholds and their margins: docs/adr/0007.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np

from magma_ros import golden as golden_output
from magma_ros import inquiry
from magma_ros.activation_report import ActivationCheck, ActivationReport, at_least, at_most, judged
from magma_ros.errors import ActivationError
from magma_ros.golden import Golden, Question
from magma_ros.inquiry import Answers
from magma_ros.pipeline import Pipeline
from magma_ros.policy import ActionModel
from magma_ros.types import ACTION_DIM, FloatArray

MIN_SPREAD_NATS = 1e-3
"""Standard deviation of a question's scores below which all action ids are equally likely, to 0.1 %."""

MIN_CHANGE = 5e-7
"""Least change of the scores, relative to their spread, that counts: four units of float32's precision."""

ROUNDING_FACTOR = 4.0
"""A change must also be this many times what asking one question twice changes; on a CPU that is nothing."""

WEAK_CHANGE = 1e-2
"""Change of the scores, relative to their spread, below which the report warns."""

MAX_REPEAT_CHANGE = 5e-2
"""Largest change between two answers to one question: a parallel sum in half precision may differ, nothing else."""

MIN_REACH = 2e-3
"""Least reach of the statistics as a part of the contract's bound: metres taken for millimetres give 1e-3 at most."""

MAX_SCORE_GAP = 0.25
"""How far below the best score the first token's may be, relative to the spread: a tie that half precision decides."""

_SLACK = 1e-6


def activate(
    pipeline: Pipeline,
    model: ActionModel,
    *,
    golden: Golden | None,
    runtime: Mapping[str, str],
    made_with: Mapping[str, str] | None = None,
) -> ActivationReport:
    """The report on a checkpoint that may act; arguments as for `examine`.

    Raises:
        ActivationError: it may not; names every check that failed, with what was measured and where to look.
    """
    report = examine(pipeline, model, golden=golden, runtime=runtime, made_with=made_with)
    if report.failed:
        faults = "".join(f"\n- {check.name}: {check.detail}; {check.advice}" for check in report.failed)
        unknown = [check.name for check in report.checks if check.outcome == "not_measured"]
        rest = f"\nnot measured because of that: {', '.join(unknown)}" if unknown else ""
        count = f"{len(report.failed)} of {len(report.checks)} checks failed"
        raise ActivationError(
            f"the checkpoint for {pipeline.contract.embodiment!r} may not act, {count}:{faults}{rest}"
        )
    return report


def examine(
    pipeline: Pipeline,
    model: ActionModel,
    *,
    golden: Golden | None,
    runtime: Mapping[str, str],
    made_with: Mapping[str, str] | None = None,
) -> ActivationReport:
    """What the gate sees of a checkpoint, good or bad; six calls of the model, and one per camera if there are several.

    Args:
        pipeline: The pipeline that the policy would use.
        model: The model that it would use.
        golden: The checkpoint's golden output, if it has one.
        runtime: `dtype` and `quantization` (or "none") decide the tolerances; device and library versions are recorded.
        made_with: Library versions that the checkpoint was made with; others are a warning.
    """
    started_s = time.perf_counter()
    answers = inquiry.inquire(pipeline, model, golden.question if golden else Question())
    checks = (*_scores_checks(pipeline, answers), *_answer_checks(pipeline, answers, runtime))
    checks += (*_statistics_checks(pipeline), *_golden_checks(pipeline, answers, golden, runtime))
    return ActivationReport(
        checks=checks,
        num_calls=answers.num_calls,
        elapsed_s=time.perf_counter() - started_s,
        runtime=MappingProxyType(dict(runtime)),
        warnings=tuple(_warnings(checks, golden, runtime, made_with or {})),
    )


def _scores_checks(pipeline: Pipeline, answers: Answers) -> Iterator[ActivationCheck]:
    """The scores are finite, prefer something, repeat, and follow pictures and instruction."""
    faults = "; ".join(f"{name}: {fault}" for name, fault in answers.faults.items())
    yield at_most(
        "scores_finite",
        len(answers.faults),
        0,
        f"questions without finite scores ({faults or 'none'})",
        "the weights hold numbers that are not finite, or overflow in this precision",
    )
    spreads = [spread for name in answers.scores if (spread := answers.spread(name)) is not None]
    flattest = min(spreads, default=None)
    yield at_least(
        "scores_not_flat",
        flattest,
        MIN_SPREAD_NATS,
        "spread of the flattest question's scores [nats]",
        "the action ids are all alike: look at the rows of the output head and at the vocabulary",
    )
    flat = flattest is None or flattest < MIN_SPREAD_NATS
    again = None if flat else answers.change(inquiry.BLACK, inquiry.AGAIN)
    yield at_most(
        "repeatable",
        again,
        MAX_REPEAT_CHANGE,
        "change of the scores, relative to their spread, when black is asked again",
        "the model keeps something from one question to the next, or draws at random",
    )
    floor = max(MIN_CHANGE, ROUNDING_FACTOR * (again or 0.0))
    what = "change of the scores, relative to their spread,"
    pairs = itertools.combinations((inquiry.BLACK, inquiry.WHITE, inquiry.NOISE), 2)
    changes = {f"{one} and {other}": None if flat else answers.change(one, other) for one, other in pairs}
    known = {pair: change for pair, change in changes.items() if change is not None}
    least = min(known, key=lambda pair: known[pair]) if len(known) == len(changes) else None
    yield at_least(
        "image_matters",
        known[least] if least else None,
        floor,
        f"{what} between {least or 'pictures'}",
        "the picture does not reach the network: look at vision tower, projector and image placeholder",
    )
    for camera in inquiry.several_cameras(pipeline):
        change = None if flat else answers.change(inquiry.NOISE, inquiry.without(camera))
        yield at_least(
            f"camera_matters:{camera}",
            change,
            floor,
            f"{what} when only this camera goes black",
            "the picture of this camera does not reach the network",
        )
    yield at_least(
        "instruction_matters",
        None if flat else answers.change(inquiry.NOISE, inquiry.OTHER),
        floor,
        f"{what} with another instruction",
        "the instruction does not reach the network: look at prompt and tokenizer",
    )


def _answer_checks(pipeline: Pipeline, answers: Answers, runtime: Mapping[str, str]) -> Iterator[ActivationCheck]:
    """A whole action decodes, and its first axis is what the scores say."""
    action = answers.action
    fault = action if isinstance(action, str) else "none"
    yield at_most(
        "answer_decodes",
        int(isinstance(action, str)),
        0,
        f"faults of the action for noise ({fault})",
        "the model does not answer with one action of seven action tokens",
    )
    gap = difference = None
    scores = answers.scores.get(inquiry.NOISE)
    if scores is not None and not isinstance(action, str):
        spread = max(float(scores.std()), MIN_SPREAD_NATS)
        gap = float(scores.max() - scores[action.tokens[0, 0] - pipeline.tokenizer.first_id]) / spread
        difference = abs(float(action.expected[0, 0]) - inquiry.first_expected(scores, pipeline.tokenizer.centres()))
    yield at_most(
        "answer_is_likeliest",
        gap,
        MAX_SCORE_GAP,
        "score of the first token below the best one, relative to the spread",
        "generating does not choose what the scores say: look at cache, drafting and sampling",
    )
    tolerance = golden_output.tolerance_of(runtime["dtype"], runtime)
    yield at_most(
        "answer_is_of_the_picture",
        difference,
        tolerance.expected,
        "first axis' expected value off what the scores say",
        "generating does not see what scoring sees: look at cache and drafting",
    )


def _statistics_checks(pipeline: Pipeline) -> Iterator[ActivationCheck]:
    """What the outermost tokens of each axis decode to fits the contract."""
    stats, contract = pipeline.config.norm_stats, pipeline.contract
    who = f"the statistics of {contract.embodiment!r}"
    wrong = [column for column, scaled in enumerate(stats.mask) if scaled != (column < ACTION_DIM - 1)]
    yield at_most(
        "statistics_mask",
        len(wrong),
        0,
        f"columns of {who} scaled or not against the rule {wrong}",
        "the six columns of the arm are scaled by their quantiles, the gripper is not",
    )
    beyond = max(0.0 - stats.q01[-1], stats.q99[-1] - 1.0, 0.0)
    yield at_most(
        "statistics_gripper",
        float(beyond),
        1e-2,
        f"gripper quantiles of {who} beyond 0 ... 1",
        "the gripper was recorded in another convention (LIBERO's is -1 ... 1): convert it before fitting",
    )
    reach = _reach(pipeline)
    bounds = {"translation_m": contract.max_translation_m, "rotation_rad": contract.max_rotation_rad}
    for name, columns in (("translation_m", slice(0, 3)), ("rotation_rad", slice(3, 6))):
        axis = "xyz"[int(reach[columns].argmax())]
        yield at_most(
            f"statistics_{name}",
            float(reach[columns].max()),
            bounds[name] * (1.0 + _SLACK),
            f"longest step along or about {axis} that {who} allow, against the contract's bound",
            "they are of another robot or in other units, or the contract's bound is too small",
        )
    spans = (stats.q99 - stats.q01)[: ACTION_DIM - 1]
    moves = slice(0, 3) if spans[:3].any() else slice(3, 6)
    bound = contract.max_translation_m if spans[:3].any() else contract.max_rotation_rad
    yield at_least(
        "statistics_motion",
        float(np.where(spans > 0, reach, 0.0)[moves].max()) / bound,
        MIN_REACH,
        f"longest step that {who} allow, relative to the contract's bound",
        "an arm that hardly moves: they are degenerate or in other units",
    )


def _reach(pipeline: Pipeline) -> FloatArray:
    """Farthest that the outermost tokens of each arm axis, alone, go from zero, shape (6,) [m, rad]."""
    stats, tokenizer = pipeline.config.norm_stats, pipeline.tokenizer
    rest = tokenizer.encode(stats.normalize(np.zeros(ACTION_DIM)))
    reach = np.zeros(ACTION_DIM - 1)
    for axis, token in itertools.product(range(ACTION_DIM - 1), (tokenizer.first_id, tokenizer.last_id)):
        tokens = rest.copy()
        tokens[axis] = token
        number = stats.unnormalize(tokenizer.decode(tokens))[axis]
        moved = pipeline.decode(tokens, stamp_s=0.0).actions[0, axis]
        reach[axis] = max(reach[axis], abs(number), abs(moved))
    return reach


def _golden_checks(
    pipeline: Pipeline, answers: Answers, golden: Golden | None, runtime: Mapping[str, str]
) -> Iterator[ActivationCheck]:
    """The recorded answer is given again, as exactly as this precision can."""
    if golden is None:
        return
    advice = "these are not the weights, pictures or prompt that were saved, or this machine computes otherwise"
    sizes = golden_output.picture_sizes(pipeline.contract)
    if dict(golden.pictures_px) != sizes:
        detail = f"golden pictures: expected {sizes}, got {dict(golden.pictures_px)}"
        yield judged("golden", holds=False, detail=detail, advice=advice)
    elif isinstance(answers.action, str):
        yield at_most("golden", None, 0, "golden action", advice)
    else:
        tolerance = golden_output.tolerance_of(golden.dtype, runtime)
        found = golden_output.deviation(golden, answers.action)
        tokens = answers.action.tokens[0].tolist()
        detail = (
            f"golden tokens {golden.tokens.tolist()}, got {tokens}{'' if tolerance.same_tokens else ' (may differ)'}; "
            f"over the first {found.num_axes} axes expected values differ by {found.expected:.3g}, expected at most "
            f"{tolerance.expected:.3g}, and entropies by {found.entropy_nats:.3g}, expected at most "
            f"{tolerance.entropy_nats:.3g} nats"
        )
        holds, value = found.within(tolerance), found.expected
        yield judged("golden", holds=holds, value=value, threshold=tolerance.expected, detail=detail, advice=advice)


def _warnings(
    checks: tuple[ActivationCheck, ...], golden: Golden | None, runtime: Mapping[str, str], made_with: Mapping[str, str]
) -> Iterator[str]:
    for check in checks:
        if "_matters" in check.name and check.outcome == "passed" and check.value < WEAK_CHANGE:
            yield f"{check.name}: hardly, the {check.detail}"
    if golden is None:
        yield "golden: none is recorded, so only file hashes say that this is the network that was saved"
    for name, version in made_with.items():
        if name in runtime and runtime[name] != version:
            yield f"{name}: made with {version}, running with {runtime[name]}"
