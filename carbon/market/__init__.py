"""Contracts, certificates and own power → the market-based method."""
