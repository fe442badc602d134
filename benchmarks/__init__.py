"""How good and how fast: this project beside those a user would pick instead."""
