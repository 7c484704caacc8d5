"""Emission factors as shipped data: one CSV file per publisher."""
