"""Accounts → a report people read: HTML, XLSX, JSON and CSV, in English and Chinese."""
