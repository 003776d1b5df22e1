"""How a checkpoint is brought up: the options that nodes, simulator and policy server share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """Each field is a flag of the command line and a parameter of the policy node.

    Attributes:
        device: Where the network runs, as torch names it: cpu, cuda:0 ...
        dtype: Number type of the weights: float32, bfloat16 or float16.
        quantization: How the Llama's linear layers are stored: none, int8, int4 or nf4.
        embodiment: Name or JSON file of what the actions mean, for a checkpoint that does not say.
        compile_passes: Compile the runs over action tokens; the first action takes longer.
        temperature: Draw action tokens at this temperature; 0 always takes the best.
        sampling_seed: Of the draws.
    """

    device: str = "cpu"
    dtype: str = "float32"
    quantization: str = "none"
    embodiment: str | None = None
    compile_passes: bool = False
    temperature: float = 0.0
    sampling_seed: int = 0
