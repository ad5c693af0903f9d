"""Object stores that tests run on this machine: real servers, each ended with the process that started it."""
