"""The Magma network: tensors in, token ids out."""
