"""From film to conversations about marks and where they go: Set-of-Mark and Trace-of-Mark as training data."""
