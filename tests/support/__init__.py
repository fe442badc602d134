"""What tests share: fakes, a stand-in hub, a server, and oracles."""
