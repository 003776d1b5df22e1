"""One writer to a folder at a time."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from magma_ros.errors import MagmaRosError

LOCK_NAME = ".lock"

_logger = logging.getLogger(__name__)


@contextmanager
def alone_in(folder: Path, *, error: type[MagmaRosError]) -> Iterator[None]:
    """Hold a lock on `folder`, which is made; it goes with the process, however that ends.

    Raises:
        MagmaRosError: as `error`; another writer holds it, or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)  # not the folder: NFS locks files alone
    except OSError as fault:
        raise error(f"{folder}: expected a folder that can be written to: {fault}") from fault
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            raise error(f"{folder}: expected to be alone, another writer has it open") from fault
        except OSError as fault:
            _logger.warning("%s: this file system has no locks (%s); let nobody else write there", folder, fault)
        yield
    finally:
        os.close(descriptor)
