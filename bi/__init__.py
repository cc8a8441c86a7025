"""Dashboards: Superset in an environment of its own, on views of the published rows, everything it shows kept as YAML."""
