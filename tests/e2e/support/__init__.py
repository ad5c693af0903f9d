"""What the end-to-end tests share: looking at engines, using a registry, breaking and killing msrctl."""
