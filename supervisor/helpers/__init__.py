"""Helpers: programs for lasting work that can block. The parent runs each as a child, like any task."""
