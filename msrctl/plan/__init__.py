"""Plans as data: steps with causes, the planner that makes them, the executor that carries them out."""
