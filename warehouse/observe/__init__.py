"""How the cycle is doing: its health, alerts to people, metrics to machines, and lineage events."""
