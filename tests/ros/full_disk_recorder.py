"""The recorder on a disk that is full after 2 MiB; run as a process."""

import errno
import sys
from io import FileIO

from magma_ros import bag_writer
from magma_ros.ros.recorder_node import main

bag_writer.SPARE_BYTES = 2**20
room = 2 * 2**20


def small_disk(file, data):
    global room  # noqa: PLW0603  one disk
    if len(data) > room:
        room += bag_writer.SPARE_BYTES  # the spare file is deleted next
        raise OSError(errno.ENOSPC, "No space left on device")
    room -= len(data)
    return FileIO.write(file, data)


bag_writer.SpareFile.put = staticmethod(small_disk)

if __name__ == "__main__":
    sys.exit(main())
