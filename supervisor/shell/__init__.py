"""The parent: it waits for occurrences, calls the core, and carries out what the core decides."""
