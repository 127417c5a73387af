"""The kernel: the only files that touch it. `interface` says what the parent needs, `linux` does it."""
