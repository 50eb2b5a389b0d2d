"""Writes every dashboard, and the rules as a resource of Kubernetes, into the folder ``deploy`` that is named."""

import sys
from pathlib import Path

from streams.dashboards.catalogue import DASHBOARDS
from streams.dashboards.draw import draw
from streams.dashboards.rules import prometheus_rule

deploy = Path(sys.argv[1])
for each in DASHBOARDS:
    (deploy / "grafana" / f"{each.name}.json").write_text(draw(each), encoding="utf-8")
rules = (deploy / "prometheus" / "alerts.yml").read_text(encoding="utf-8")
resource = deploy / "k8s" / "components" / "monitoring" / "alerts.yaml"
resource.write_text(prometheus_rule(rules), encoding="utf-8")
