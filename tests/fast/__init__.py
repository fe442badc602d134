"""Fakes and synthetic sound: no torch, no network, seconds."""
