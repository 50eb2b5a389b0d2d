"""From a dashboard as data to Grafana's JSON, by Grafana's own builders."""

from typing import Any, Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

from streams.dashboards.panel import Dashboard, Look, Panel, Unit

SOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH: Final = {Look.STAT: 4, Look.STATES: 24, Look.LINES: 12, Look.STACKED: 12}
"""In 24ths of the page."""
HEIGHT: Final = {Look.STAT: 4, Look.STATES: 9, Look.LINES: 8, Look.STACKED: 8}
STATES: Final = {"0": ("pass", "green"), "1": ("warn", "yellow"), "2": ("fail", "red")}


def draw(wanted: Dashboard) -> str:
    """The JSON that Grafana provisions."""
    drawn = (
        dashboard.Dashboard(wanted.title)
        .uid(wanted.name)
        .description(wanted.meaning)
        .tags(["rillet"])
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .link(
            dashboard.DashboardLink("Rillet")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags(["rillet"])
            .as_dropdown(True)
            .keep_time(True)
        )
    )
    for row in wanted.rows:
        drawn.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            drawn.with_panel(_panel(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(drawn.build()) + "\n"


def _panel(panel: Panel) -> Any:
    drawn = _LOOKS[panel.look](panel)
    drawn.title(panel.title).description(panel.meaning).datasource(SOURCE).unit(panel.unit.value)
    drawn.span(WIDTH[panel.look]).height(HEIGHT[panel.look])
    for place, query in enumerate(panel.queries):
        drawn.with_target(
            prometheus.Dataquery()
            .expr(query.expr)
            .legend_format(query.legend or "__auto")
            .ref_id(chr(ord("A") + place))
            .datasource(SOURCE)
        )
    return drawn


def _lines(panel: Panel) -> Any:
    drawn = (
        timeseries.Panel()
        .line_width(1)
        .fill_opacity(10)
        .show_points(options.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .show_legend(len(panel.queries) > 1 or "{{" in panel.queries[0].legend)
            .display_mode(options.LegendDisplayMode.LIST)
            .placement(options.LegendPlacement.BOTTOM)
        )
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI))
    )
    if panel.unit is Unit.SHARE:
        drawn.axis_soft_min(0)
    if panel.look is Look.STACKED:
        drawn.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))
    if panel.alarm is not None:
        drawn.thresholds(_alarm(panel.alarm))
        drawn.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(options.GraphTresholdsStyleMode.DASHED)
        )
    return drawn


def _stat(panel: Panel) -> Any:
    drawn = stat.Panel().graph_mode(options.BigValueGraphMode.AREA)
    return drawn.thresholds(_alarm(panel.alarm)) if panel.alarm is not None else drawn


def _states(_: Panel) -> Any:
    named = {
        value: model.ValueMappingResult(text=text, color=color, index=int(value))
        for value, (text, color) in STATES.items()
    }
    return (
        statetimeline.Panel()
        .mappings([model.ValueMap(options=named)])
        .show_value(options.VisibilityMode.NEVER)
    )


def _alarm(at: float) -> dashboard.ThresholdsConfig:
    steps = [model.Threshold(value=None, color="green"), model.Threshold(value=at, color="red")]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


_LOOKS: Final = {Look.LINES: _lines, Look.STACKED: _lines, Look.STAT: _stat, Look.STATES: _states}
