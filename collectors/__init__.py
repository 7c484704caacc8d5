"""Outside world → batches: one module per protocol."""
