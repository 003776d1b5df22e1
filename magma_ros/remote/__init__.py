"""Any policy over a WebSocket, in the protocol that `openpi-client` speaks; no torch on either side of the wire."""
