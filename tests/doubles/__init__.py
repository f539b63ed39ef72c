"""Providers on loopback: servers that speak the vendors' protocols, and misbehave on command."""
