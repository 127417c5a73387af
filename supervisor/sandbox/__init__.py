"""Limits of what a run may do: mounts, privileges, resource limits, system calls."""
