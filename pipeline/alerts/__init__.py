"""Alerts: what is judged true or false of the plant, and the states that follow. See README.md to add a kind."""
