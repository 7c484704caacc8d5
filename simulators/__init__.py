"""Simulated machines with real physics, served over real protocols."""
