"""Dashboards for Grafana, as data; ``python -m streams.dashboards FOLDER`` writes them as JSON."""
