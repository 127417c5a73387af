"""Access to the kernel. `interface` declares what the parent needs; `shell.linux` implements it."""
