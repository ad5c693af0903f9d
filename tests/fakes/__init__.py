"""In-memory stand-ins; tests/contract holds them to the obligations of the real things."""
