"""Helpers: what can block and lasts, as children of the parent like any task. Each is a program of its own."""
