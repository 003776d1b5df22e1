"""What a report is about."""

from __future__ import annotations

import pytest

from magma_ros.sim.report import contents
from magma_ros.sim.report.contents import command_of, gather, mean_latency_s
from tests.sim.report.sweeps import make_record, make_spec, write_film, write_folder


def test_films_are_shown_in_turns_until_the_page_is_full(tmp_path, monkeypatch) -> None:
    """The first failure and success of every task come before the second of any."""
    folder = write_folder(tmp_path / "a", make_record({"a": "sssssfffff", "b": "ffssssssss"}))
    sizes = [
        write_film(folder / "films" / f"{task}-{seed}.webp", num_steps=3).stat().st_size
        for task in "ab"
        for seed in (0, 1, 2, 3, 5)
    ]
    shown = [(film.task, film.outcome, film.seed) for film in gather(folder).films]
    assert shown[:4] == [("a", "failure", 5), ("a", "success", 0), ("b", "failure", 0), ("b", "success", 2)]
    assert len(shown) == 9
    assert gather(folder).num_films_left == 1
    monkeypatch.setattr(contents, "FILMS_MAX_BYTES", 2 * max(sizes))
    assert len(gather(folder).films) in (2, 3)


def test_sweeps_of_one_policy_are_told_apart_by_their_folders(tmp_path) -> None:
    """A policy's name alone where it is enough."""
    record = make_record({"a": "ss"})
    noop = make_record({"a": "ss"}, make_spec(("a",), policy="noop"))
    folders = [write_folder(tmp_path / name, r) for name, r in (("one", record), ("two", record), ("three", noop))]
    report = gather(folders[0], folders[1:])
    assert [report.label(sweep) for sweep in report.sweeps] == ["magma-tiny (one)", "magma-tiny (two)", "noop"]


@pytest.mark.parametrize(
    ("latency", "expected_s"),
    [
        (None, 0.0),
        ({"low_s": 0.1, "high_s": 0.3}, 0.2),
        ({"buckets, up to [ms]": {"100.0": 3, "500.0": 1}}, 0.2),
    ],
)
def test_the_mean_of_every_latency_is_known(latency, expected_s) -> None:
    """None, a range and a histogram."""
    assert mean_latency_s(latency) == pytest.approx(expected_s)


def test_the_command_can_be_pasted() -> None:
    """Names that a shell would take apart are quoted."""
    spec = make_spec(policy="my policy; rm -rf /", seeds=(5, 6, 7))
    assert "--policy 'my policy; rm -rf /'" in command_of(spec)
    assert "--trials 3 --seed 5" in command_of(spec)


def test_the_command_holds_whatever_is_not_usual() -> None:
    """Latency, width and how the checkpoint was brought up."""
    options = {"device": "cuda:0", "dtype": "float32", "compile_passes": True}
    spec = make_spec(latency={"low_s": 0.1, "high_s": 0.3}, width=0.2, options=options)
    assert command_of(spec).endswith("--latency 0.1..0.3 --width 0.2 --device cuda:0 --compile-passes")
    assert "--latency 0.15" in command_of(make_spec(latency={"low_s": 0.15, "high_s": 0.15}))


@pytest.mark.parametrize(
    ("batched", "options", "expected"),
    [
        (False, {}, ""),
        (False, {"device": "cpu"}, " --no-batch"),
        (True, {"device": "cpu"}, " --workers 2"),
    ],
)
def test_the_command_answers_in_batches_where_the_sweep_did(batched, options, expected) -> None:
    """Batches need two workers; without a network there are none to speak of."""
    assert command_of(make_spec(batched=batched, options=options)).endswith(f"--execution-horizon 1{expected}")
