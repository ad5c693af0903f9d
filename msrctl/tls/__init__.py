"""Certificates: our own authority, and checks of the ones that an operator brings."""
