"""The compared systems, and the code that runs them."""
