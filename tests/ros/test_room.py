import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_missing_build_of_the_messages_says_what_to_do(tmp_path) -> None:
    """With the Python part alone, importing the room fails with the two ways to get the messages."""
    (tmp_path / "magma_ros").symlink_to(ROOT / "magma_ros")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import magma_ros.errors, magma_ros.ros"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert 1 == done.returncode
    assert "`make setup`" in done.stderr.splitlines()[-1]
    assert "`colcon build`" in done.stderr.splitlines()[-1]
