"""Many trials of one policy, in one process, several or on several machines; nothing finished is lost or repeated."""
