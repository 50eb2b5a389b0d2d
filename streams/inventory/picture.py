"""The graph of an inventory as inline SVG: assets and processes in columns, what feeds to the left of what is fed.

Columns are by the longest way from a source, rows by the mean place of the neighbours, a few sweeps of it (Sugiyama's
method). Edges that lead back are drawn as such. Equal inventories give equal pictures.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from streams.evaluation_report.markup import Html, join, tag
from streams.inventory.look import Inventory

ROW: Final = 34
BOX: Final = 24
GAP: Final = 70
CHARACTER: Final = 6.6
SWEEPS: Final = 6

Edge = tuple[str, str]


class Node(NamedTuple):
    """``asset`` or ``process`` before a colon, then the name; the kind is a class of the style sheet."""

    id: str
    label: str
    kind: str
    about: str


class Laid(NamedTuple):
    """Left edge, middle and width of a node's box."""

    x: float
    y: float
    width: float


def picture(inventory: Inventory) -> Html | None:
    """None where nothing feeds anything."""
    nodes, edges = _graph(inventory)
    if not edges:
        return None
    forward = _without_cycles(list(nodes), edges)
    columns = _columns(list(nodes), forward)
    laid = _laid(columns, nodes)
    width = max(each.x + each.width for each in laid.values()) + 2
    height = max(each.y for each in laid.values()) + ROW
    parts = [_edge(edge, laid, is_back=edge not in forward) for edge in edges]
    parts += [_node(nodes[name], each) for name, each in laid.items()]
    return tag(
        "svg",
        *parts,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=f"{width:.0f}",
        height=f"{height:.0f}",
        role="img",
        aria_label="What feeds what",
        class_="lineage",
    )


def _graph(inventory: Inventory) -> tuple[dict[str, Node], list[Edge]]:
    """Assets that are part of some process, and the processes."""
    assets = {each.asset: each for each in inventory.assets}
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    for process in inventory.processes:
        reads, writes = (
            [name for name in names if name in assets] for names in (process.reads, process.writes)
        )
        if not (reads or writes):
            continue
        own = f"process:{process.name}"
        for name in (*reads, *writes):
            each = assets[name]
            kind = "table" if each.kind == "table" else "topic" if each.known else "foreign"
            nodes[f"asset:{name}"] = Node(f"asset:{name}", name, kind, each.description or name)
        nodes[own] = Node(own, process.name, "process", process.description)
        edges += [(f"asset:{name}", own) for name in reads]
        edges += [(own, f"asset:{name}") for name in writes]
    return nodes, edges


def _without_cycles(nodes: list[str], edges: list[Edge]) -> set[Edge]:
    """The edges but those that lead back to a node that is still being walked through."""
    down: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        down[source].append(target)
    fed = {target for _, target in edges}
    forward: set[Edge] = set()
    done: set[str] = set()
    walked: list[tuple[str, list[str]]] = []
    inside: set[str] = set()
    for first in sorted(nodes, key=lambda name: name in fed):
        if first in done:
            continue
        walked.append((first, list(down[first])))
        inside.add(first)
        while walked:
            name, left = walked[-1]
            if not left:
                walked.pop()
                inside.discard(name)
                done.add(name)
                continue
            target = left.pop(0)
            if target in inside:
                continue
            forward.add((name, target))
            if target not in done:
                walked.append((target, list(down[target])))
                inside.add(target)
    return forward


def _columns(nodes: list[str], forward: set[Edge]) -> list[list[str]]:
    place = dict.fromkeys(nodes, 0)
    for _ in nodes:
        moved = [(target, place[source] + 1) for source, target in forward if place[target] <= place[source]]
        if not moved:
            break
        for target, at in moved:
            place[target] = max(place[target], at)
    columns: list[list[str]] = [[] for _ in range(max(place.values()) + 1)]
    for name in nodes:
        columns[place[name]].append(name)
    neighbours: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in sorted(forward):
        neighbours[source].append(target)
        neighbours[target].append(source)
    for _ in range(SWEEPS):
        row = {name: at - len(column) / 2 for column in columns for at, name in enumerate(column)}
        for column in columns:
            column.sort(key=lambda name: _mean([row[each] for each in neighbours[name]], row[name]))
    return columns


def _mean(values: list[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _laid(columns: Iterable[list[str]], nodes: Mapping[str, Node]) -> dict[str, Laid]:
    columns = list(columns)
    tallest = max(map(len, columns))
    laid: dict[str, Laid] = {}
    x = 1.0
    for column in columns:
        width = max(len(nodes[name].label) for name in column) * CHARACTER + 20
        top = (tallest - len(column)) * ROW / 2
        for at, name in enumerate(column):
            own = len(nodes[name].label) * CHARACTER + 20
            laid[name] = Laid(x + (width - own) / 2, top + (at + 0.5) * ROW, own)
        x += width + GAP
    return laid


def _edge(edge: Edge, laid: Mapping[str, Laid], *, is_back: bool) -> Html:
    source, target = (laid[name] for name in edge)
    x1, x2 = source.x + source.width, target.x
    bend = max(30.0, abs(x2 - x1) / 2)
    points = ((x1 + bend, source.y), (x2 - bend, target.y), (x2, target.y))
    path = f"M{x1:.1f},{source.y:.1f} C{' '.join(f'{x:.1f},{y:.1f}' for x, y in points)}"
    return tag("path", d=path, class_="back" if is_back else "edge")


def _node(node: Node, at: Laid) -> Html:
    corner = BOX / 2 if node.kind == "process" else 4
    box = tag(
        "rect",
        x=f"{at.x:.1f}",
        y=f"{at.y - BOX / 2:.1f}",
        width=f"{at.width:.1f}",
        height=str(BOX),
        rx=f"{corner:g}",
    )
    label = tag("text", node.label, x=f"{at.x + at.width / 2:.1f}", y=f"{at.y + 4:.1f}", text_anchor="middle")
    return tag("g", join(tag("title", node.about), box, label), class_=node.kind)
