"""What a person or a script reads: progress on stderr, results on stdout, errors. Only this prints."""
