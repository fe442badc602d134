"""Endpoints on Hugging Face: what is uploaded, made, checked and watched."""
