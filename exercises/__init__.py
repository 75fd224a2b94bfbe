"""Exercises: one notebook a chapter in nbgrader's format, their checks, and a race."""
