"""What tasks say: from FIFOs into files, the journal, or the supervisor's own output; and back, for `supctl logs`."""
