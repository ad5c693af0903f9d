"""What a cluster is: its document, its names and its labels. Pure data, no Docker."""
