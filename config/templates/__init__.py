"""Device templates: one YAML file per make and model."""
