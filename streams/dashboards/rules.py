"""The alert rules as the Prometheus operator takes them."""

from typing import Any, Final

import yaml

HEAD: Final = "# Generated from deploy/prometheus/alerts.yml by `make docs`.\n"


def prometheus_rule(alerts: str) -> str:
    """The resource that holds the groups of a file of rules."""
    resource: dict[str, Any] = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "rillet"},
        "spec": yaml.safe_load(alerts),
    }
    return HEAD + yaml.safe_dump(resource, sort_keys=False, width=1_000)
