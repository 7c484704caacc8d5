"""Amounts of energy and matter → accounts of carbon that can be traced and never change unseen."""
