"""Real engines, clients and images on one machine, for tests and benchmarks. Needs root; see `engines`."""
