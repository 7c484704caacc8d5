"""What the user writes: models, loader, device templates and factor tables. Imports nothing of ours."""
