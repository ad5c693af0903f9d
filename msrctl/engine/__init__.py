"""Adapters to the Docker Engine: swarm objects, state, lock, journal, one-shots."""
