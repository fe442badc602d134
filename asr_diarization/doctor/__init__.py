"""Checks of a deployment before models are loaded: problems, and how to solve them."""
