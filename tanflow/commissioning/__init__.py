"""What an engineer does once at each device: ask it, find it, compare it with its display, and record that."""
