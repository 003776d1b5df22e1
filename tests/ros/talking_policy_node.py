"""The policy node with a scripted policy that also talks, about what it is asked and shows; run as a process."""

import json
import re
import sys
import time
from pathlib import Path

import numpy as np
from scripted_policy_node import ScriptedPolicy

from magma_ros.mark_text import TraceText, to_grid, tom_answer
from magma_ros.ros.policy_node import PolicyNode
from magma_ros.ros.spin import run


class TalkingPolicy(ScriptedPolicy):
    """Says the script's `pieces`, one in `piece_s`; clicks where it is told to; sees marks move along `path_cells`."""

    talks = True

    @property
    def predicts_traces(self):
        return "path_cells" in self._script

    def talk(self, question):
        if "how to move the numerical marks" in question.text:
            yield self._traces(question)
        elif clicked := re.search(r'click a button to "say (.*)"\?', question.text):
            yield clicked.group(1)
        else:
            for piece in self._script["pieces"]:
                time.sleep(self._script["piece_s"])
                yield piece

    def _traces(self, question):
        (image,) = question.images
        (number,) = re.search(r"numeric marks: \[(\d+)\]", question.text).groups()
        rows, columns = np.nonzero(np.ptp(image, axis=-1) > 30)  # the disc: everything else is grey
        height, width, _ = image.shape
        start = to_grid(
            ((columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2), width_px=width, height_px=height
        )
        (steps,) = map(int, re.search(r"for the next (\d+) steps", question.text).groups())
        path = np.rint(start + np.array(self._script["path_cells"])[:steps]).astype(int)
        return tom_answer([TraceText(int(number), tuple(start.tolist()), tuple(map(tuple, path.tolist())))])


def load(name, _options, _deadline_s):
    return TalkingPolicy(json.loads((Path(name) / "script.json").read_text()))


if __name__ == "__main__":
    sys.exit(run(lambda: PolicyNode(load=load)))
