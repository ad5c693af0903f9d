"""Backups: what a backup file is made of, how it is written, read and encrypted. Knows no engine."""
