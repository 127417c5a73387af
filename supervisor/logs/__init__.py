"""Task output: from FIFOs into files, the journal or the supervisor's stdout, and back for `supctl logs`."""
