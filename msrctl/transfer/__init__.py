"""Reads, compares and copies image stores of any kind. Runs on a replica's node and knows no swarm."""
