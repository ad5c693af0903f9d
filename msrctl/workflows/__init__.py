"""The commands' work: ordered steps over the plan, the engine and the registry. They print nothing."""
