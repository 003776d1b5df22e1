import contextlib
import io
from pathlib import Path

import numpy as np
import pytest

from magma_ros.errors import EnvError
from magma_ros.sim.libero import protocol
from magma_ros.sim.libero.resources import init_states, problem_file
from magma_ros.sim.suites import SUITES

PUBLISHED_BUDGETS = {
    "libero_spatial": 220,
    "libero_object": 280,
    "libero_goal": 300,
    "libero_10": 520,
    "libero_90": 400,
}


def packaged_tasks(suite: str) -> list[tuple[str, str]]:
    """(name, instruction) of upstream's tasks in upstream's order."""
    from libero.libero import benchmark  # noqa: PLC0415 - imported by the tests that need it alone

    with contextlib.redirect_stdout(io.StringIO()):
        tasks = benchmark.get_benchmark(suite)().tasks
    return [(task.name, task.language) for task in tasks]


@pytest.mark.parametrize("suite", protocol.SUITES, ids=lambda suite: suite.name)
def test_the_table_is_the_packages(suite) -> None:
    """Every suite has upstream's tasks with upstream's instructions, in upstream's order."""
    assert packaged_tasks(suite.name) == [(task.name, task.instruction) for task in suite.tasks]


def test_every_task_can_be_run() -> None:
    """Each of the 130 tasks has its scene, and 50 official initial states."""
    tasks = [(suite.name, task.name) for suite in protocol.SUITES for task in suite.tasks]
    assert 130 == len(tasks) == len(set(tasks))
    for suite, task in tasks:
        assert "(:goal" in problem_file(suite, task).read_text()
        states = init_states(suite, task)
        assert 50 == len(states)
        assert np.isfinite(states).all()


def test_the_suites_follow_the_published_protocol() -> None:
    """Step budgets, 20 Hz and the ten steps of settling are those of the published evaluations."""
    found = {name: {task.step_budget for task in suite.tasks} for name, suite in SUITES.items() if "libero" in name}
    assert {name: {budget} for name, budget in PUBLISHED_BUDGETS.items()} == found
    assert {20.0} == {SUITES[name].control_rate_hz for name in found}
    assert {"libero"} == {SUITES[name].simulator for name in found}
    assert 10 == protocol.SETTLE_STEPS


def test_the_limits_let_pass_what_upstream_lets_pass() -> None:
    """The longest step that LIBERO's controller takes, and its reverse right after it, pass unchanged."""
    corner_m, corner_rad = 0.05 * np.sqrt(3), 0.5 * np.sqrt(3)
    for suite in (SUITES[name] for name in PUBLISHED_BUDGETS):
        limits = suite.limits
        assert limits.max_translation_step_m > corner_m
        assert limits.max_rotation_step_rad > corner_rad
        assert limits.max_step_change_m > 2 * corner_m
        assert (None, None, None) == (limits.workspace_min_m, limits.workspace_max_m, limits.table_height_m)


def test_unknown_names_are_refused_with_those_that_exist() -> None:
    """The message of a wrong suite or task lists the right ones."""
    with pytest.raises(EnvError, match="libero_spatial"):
        protocol.find_task("libero_special", "x")
    with pytest.raises(EnvError, match="put_the_bowl_on_the_stove"):
        protocol.find_task("libero_goal", "put_the_bowl_on_the_sofa")


def test_no_initial_state_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of states that holds Python objects is refused, not loaded."""
    folder = tmp_path / "init_files" / "libero_goal"
    folder.mkdir(parents=True)
    np.savez(folder / "turn_on_the_stove.pruned_init.npz", states=np.array([{"a": 1}], dtype=object))
    monkeypatch.setattr("magma_ros.sim.libero.resources.package_folder", lambda: tmp_path)
    with pytest.raises(EnvError, match="make libero"):
        init_states("libero_goal", "turn_on_the_stove")
