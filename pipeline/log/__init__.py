"""The durable log: one writer, group commits, readers that hold no lock."""
