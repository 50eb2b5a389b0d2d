import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { clock } from "../format";
import { colour, repainted } from "../theme";

export interface Line {
  name: string;
  colour: string;
  values: (number | null)[];
  dash?: number[];
}

export interface Mark {
  time_ms: number;
  name: string;
}

interface Props {
  label: string;
  timesMs: number[];
  lines: Line[];
  format: (value: number | null) => string;
  fromMs?: number;
  toMs?: number;
  marks?: Mark[];
  log?: boolean;
}

const HEIGHT = 180;

/** Lines over time. The legend holds the newest values, or those under the pointer, so that nothing is told by colour alone. */
export function Chart(props: Props) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const newest = useRef(props);
  newest.current = props;
  const [at, setAt] = useState<number | null>(null);
  const shape = `${props.lines.map((line) => line.name + line.colour + line.dash).join()} ${repainted.value} ${props.log}`;
  // made anew when its lines or the colours change
  useEffect(() => {
    const element = host.current as HTMLDivElement;
    const made = new uPlot(options(element.clientWidth, newest, setAt), dataOf(newest.current), element);
    plot.current = made;
    const sized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    sized.observe(element);
    return () => {
      sized.disconnect();
      made.destroy();
    };
  }, [shape]);
  // drawn anew with new data
  useEffect(
    () => plot.current?.setData(dataOf(props)),
    [props.timesMs, props.lines, props.fromMs, props.toMs],
  );
  return (
    <figure class="chart" aria-label={props.label}>
      <div ref={host} aria-hidden="true" />
      <Legend {...props} at={at} />
    </figure>
  );
}

function Legend({ lines, timesMs, format, at }: Props & { at: number | null }) {
  const timeMs = at === null ? undefined : timesMs[at];
  return (
    <figcaption>
      <ul class="legend">
        {lines.map((line) => (
          <li key={line.name}>
            <i class={line.dash ? "swatch dashed" : "swatch"} style={{ color: `var(${line.colour})` }} />
            {line.name} <b>{format(at === null ? latest(line.values) : (line.values[at] ?? null))}</b>
          </li>
        ))}
        {timeMs !== undefined && <li class="when">{clock(timeMs)}</li>}
      </ul>
    </figcaption>
  );
}

function latest(values: (number | null)[]): number | null {
  return values.findLast((value) => value !== null) ?? null;
}

function dataOf({ timesMs, lines }: Props): uPlot.AlignedData {
  return [timesMs.map((each) => each / 1000), ...lines.map((line) => line.values)];
}

type Held = { current: Props };

function options(width: number, held: Held, setAt: (at: number | null) => void): uPlot.Options {
  const { lines, log } = held.current;
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    scales: {
      x: { range: () => spanS(held.current) },
      y: log ? { distr: 3 } : { range: (_, low, high) => span(low, high) },
    },
    series: [{}, ...lines.map(series)],
    axes: [
      axis({ space: 80, size: 30, values: (_, ticks) => ticks.map((tick) => timeOf(tick, held.current)) }),
      axis({ size: 56, values: (_, ticks) => ticks.map((tick) => held.current.format(tick)) }),
    ],
    hooks: {
      setCursor: [(self) => setAt(self.cursor.idx ?? null)],
      draw: [(self) => drawMarks(self, held.current.marks ?? [])],
    },
  };
}

function series(line: Line): uPlot.Series {
  const dash = line.dash ? { dash: line.dash } : {};
  return {
    label: line.name,
    stroke: colour(line.colour),
    width: 2,
    points: { show: isSparse, size: 5 },
    spanGaps: true,
    ...dash,
  };
}

/** A line needs two points; fewer are drawn as such. */
function isSparse(plot: uPlot, at: number): boolean {
  return (plot.data[at] ?? []).filter((value) => value !== null).length < 2;
}

function axis(more: uPlot.Axis): uPlot.Axis {
  const grid = { stroke: colour("--grid"), width: 1 };
  return {
    stroke: colour("--muted"),
    font: "12px system-ui, sans-serif",
    grid,
    ticks: { show: false },
    ...more,
  };
}

function spanS({ fromMs, toMs, timesMs }: Props): [number, number] {
  const end = toMs ?? timesMs.at(-1) ?? Date.now();
  return [(fromMs ?? timesMs[0] ?? end - 60_000) / 1000, end / 1000];
}

/** With the date where more than two days are shown. */
function timeOf(tickS: number, props: Props): string {
  const [fromS, toS] = spanS(props);
  if (toS - fromS > 172_800)
    return new Date(1000 * tickS).toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return toS - fromS > 600 ? clock(1000 * tickS).slice(0, 5) : clock(1000 * tickS);
}

/** From 0 where all is above it, with room; never empty. */
function span(low: number | null, high: number | null): [number, number] {
  const top = high === null || high <= 0 ? 1 : high * 1.1;
  return [low !== null && low < 0 ? low * 1.1 : 0, top];
}

function drawMarks(plot: uPlot, marks: Mark[]): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = colour("--warn");
  ctx.setLineDash([3, 3]);
  for (const mark of marks) {
    const x = plot.valToPos(mark.time_ms / 1000, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}
