"""What is remembered: records of what runs (for the next supervisor), freezes (for after the next boot)."""
