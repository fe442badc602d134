"""Warnings of an answer: parameters without effect, and text that may be wrong."""
