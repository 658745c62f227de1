"""Shared addresses: placed, added in one batch, announced, kept up, removed."""
