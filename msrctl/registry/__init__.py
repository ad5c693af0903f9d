"""The registry: its configuration, the proxy in front of it, a client to probe it."""
