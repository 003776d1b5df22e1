"""How far a demonstration on the Panda is led astray, at 20 Hz; the same for every task."""

from __future__ import annotations

from magma_ros.sim.perturbation import Perturbation

PERTURBATION = Perturbation(
    noise_m=0.015,
    noise_rad=0.06,
    noise_memory=0.9,
    push_rate=0.012,
    push_m=0.05,
    push_rad=0.25,
    push_steps=(4, 10),
    flip_rate=0.005,
    flip_steps=(4, 10),
    num_steps=(40, 160),
    longest_m=0.086,
    longest_rad=0.5,
)
"""Of commands, of which the arm does a fifth in a step: a push leads it 5 to 10 cm away, a flip half opens the hand."""
