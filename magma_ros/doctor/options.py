"""How the doctor listens to the graph; the names are those of the nodes' parameters."""

from __future__ import annotations

from dataclasses import dataclass

from magma_ros.errors import InvalidInputError

LONGEST_S = 60.0


@dataclass(frozen=True, slots=True)
class Listening:
    """Where to listen and for how long.

    Attributes:
        namespace: Of the arm's graph.
        camera_topic: Topic of the only camera; empty takes the arm's.
        image_transport: raw or compressed.
        use_sim_time: Compare stamps with /clock.
        listen_s: For how long, more than 0 and at most 60 [s].
    """

    namespace: str = "/"
    camera_topic: str = ""
    image_transport: str = "raw"
    use_sim_time: bool = False
    listen_s: float = 3.0

    def __post_init__(self) -> None:
        if not 0.0 < self.listen_s <= LONGEST_S:
            raise InvalidInputError(f"listen_s: expected more than 0 and at most {LONGEST_S:g} s, got {self.listen_s}")
