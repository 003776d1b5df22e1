"""Films of trials that were counted."""

from __future__ import annotations

from contextlib import closing

from magma_ros.sim.sweep.filming import film, trials_to_film
from magma_ros.sim.sweep.journal import SweepRecord
from magma_ros.sim.sweep.plan import Trial
from magma_ros.sim.sweep.pool import InProcessPool
from tests.sim.sweep import toys


def test_the_first_of_each_task_and_outcome_are_filmed_once(tmp_path):
    """By their seeds; errors are not filmed, and what lies there already is not filmed again."""
    kinds = ["failure", "error", "success", "success", "failure", "success"]
    trials = tuple(toys.record(seed, kind) for seed, kind in enumerate(kinds))
    record = SweepRecord(toys.spec(tasks=("reach",)), trials)
    assert [2, 3, 0, 4] == [trial.seed for trial in trials_to_film(record, tmp_path, count=2)]
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "reach-2.webp").touch()
    assert [3, 0, 4] == [trial.seed for trial in trials_to_film(record, tmp_path, count=2)]
    assert [] == trials_to_film(record, tmp_path, count=0)


def test_a_film_that_shows_another_end_is_not_kept(tmp_path):
    """A trial that succeeds when it is run again is not shown as the failure that was counted."""
    record = SweepRecord(toys.spec(tasks=("reach",)), (toys.record(1, "failure"), toys.record(2)))
    trials = trials_to_film(record, tmp_path, count=1)
    with closing(InProcessPool(toys.setup(films=tmp_path))) as pool:
        assert [Trial("reach", 1)] == film(record, trials, pool, tmp_path)
    assert ["reach-2.webp"] == [path.name for path in (tmp_path / "films").iterdir()]
