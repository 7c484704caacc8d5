"""The core: series, batches, stages, the durable log, delivery. Knows the outside only through pipeline.ports."""
