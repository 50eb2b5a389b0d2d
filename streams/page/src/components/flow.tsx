import { effect } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { readings } from "../figures";
import { count, percent, words } from "../format";
import { type Live, paused, subscribe } from "../live";
import { leadingSource, TOPICS } from "../records";
import { colour, repainted, sourceColour } from "../theme";
import type { Slate } from "../types";

const SOURCES = [
  "content",
  "session_knn",
  "covisitation",
  "embedding",
  "search",
  "trending",
  "recent",
  "cold_start",
];
const TRAVEL_MS = 1400;
const MAX_DOTS = 300;
/** Slates of which the shares of the sources are told. */
const MAX_LED = 300;
const LANES = TOPICS.map((topic) => ({ topic, name: topic.replace("events.", ""), colour: "--series-0" }));

interface Dot {
  side: "in" | "out";
  lane: number;
  bornMs: number;
  colour: string;
}

/** Events run in from the left by topic, slates out to the right by the source that counted most: every dot is a record. */
export function Flow() {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => animate(canvas.current as HTMLCanvasElement), []);
  const led = useLeading();
  const reading = readings.value.at(-1);
  return (
    <div class="flow">
      <ol class="lanes" aria-label="Events a second by topic">
        {LANES.map(({ topic, name }) => (
          <li key={topic}>
            {name} <b>{count(reading?.records.get(topic))}</b>
            <small>/s</small>
          </li>
        ))}
      </ol>
      <div aria-hidden="true">
        <canvas ref={canvas} />
      </div>
      <ol class="lanes out" aria-label="Sources of recommendations">
        {SOURCES.map((source) => (
          <li key={source}>
            <i class="swatch dot" style={{ color: `var(${sourceColour(source)})` }} />
            {words(source)}{" "}
            <b>{led.length ? percent(led.filter((each) => each === source).length / led.length, 0) : ""}</b>
          </li>
        ))}
      </ol>
    </div>
  );
}

/** The leading sources of the newest slates. */
function useLeading(): string[] {
  const [led, setLed] = useState<string[]>([]);
  const leading = ({ value }: Live<Slate>) => (value && leadingSource(value)) ?? [];
  useEffect(
    () =>
      subscribe<Slate>("slates", (records) =>
        setLed((before) => [...before, ...records.flatMap(leading)].slice(-MAX_LED)),
      ),
    [],
  );
  return led;
}

/** Draws until the answer is called. */
function animate(canvas: HTMLCanvasElement): () => void {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let dots: Dot[] = [];
  let frame = 0;
  const add = (more: Dot[]) => {
    if (!still) dots = [...dots, ...more].slice(-MAX_DOTS);
  };
  const draw = (timeMs: number) => {
    dots = dots.filter((dot) => timeMs - dot.bornMs < TRAVEL_MS);
    paint(canvas, dots, timeMs);
    if (!still && !paused.value) frame = requestAnimationFrame(draw);
  };
  const ends = [
    subscribe("events", (records) => add(records.map(incoming))),
    subscribe<Slate>("slates", (records) => add(records.flatMap(outgoing))),
    effect(() => {
      void [paused.value, repainted.value];
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(draw);
    }),
  ];
  const sized = new ResizeObserver(() => paint(canvas, dots, performance.now()));
  sized.observe(canvas);
  return () => {
    cancelAnimationFrame(frame);
    sized.disconnect();
    for (const end of ends) end();
  };
}

/** Records come in bunches: births are spread over the time to the next. */
function born(): number {
  return performance.now() + 200 * Math.random();
}

function incoming(record: Live): Dot {
  const lane = Math.max(0, TOPICS.indexOf(record.topic as (typeof TOPICS)[number]));
  return { side: "in", lane, bornMs: born(), colour: "--ink" };
}

function outgoing(record: Live<Slate>): Dot[] {
  const source = record.value && leadingSource(record.value);
  const lane = SOURCES.indexOf(source ?? "");
  return lane < 0 ? [] : [{ side: "out", lane, bornMs: born(), colour: sourceColour(source ?? "") }];
}

type Point = readonly [number, number];

function paint(canvas: HTMLCanvasElement, dots: readonly Dot[], timeMs: number): void {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const scale = devicePixelRatio;
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
  const ctx = canvas.getContext("2d") as CanvasRenderingContext2D;
  ctx.setTransform(scale, 0, 0, scale, 0, 0);
  ctx.clearRect(0, 0, width, height);
  const curve = (side: Dot["side"], lane: number) => curveOf(side, lane, width, height);
  paintLanes(ctx, curve);
  for (const dot of dots) paintDot(ctx, curve(dot.side, dot.lane), dot, (timeMs - dot.bornMs) / TRAVEL_MS);
  paintCore(ctx, width, height, dots, timeMs);
}

/** Start, two control points and end of a lane. */
function curveOf(side: Dot["side"], lane: number, width: number, height: number): Point[] {
  const n = side === "in" ? LANES.length : SOURCES.length;
  const y = (height * (lane + 0.5)) / n;
  const [middle, centre] = [height / 2, width * 0.45];
  const way: Point[] = [
    [0, y],
    [centre * 0.5, y],
    [centre * 0.55, middle],
    [centre, middle],
  ];
  const mirrored = way.map(([x, at]) => [width - (x * (width - centre)) / centre, at] as const).reverse();
  return side === "in" ? way : mirrored;
}

function paintLanes(
  ctx: CanvasRenderingContext2D,
  curve: (side: Dot["side"], lane: number) => Point[],
): void {
  ctx.lineWidth = 1.5;
  ctx.strokeStyle = colour("--grid");
  const all = [...LANES.map((_, lane) => curve("in", lane)), ...SOURCES.map((_, lane) => curve("out", lane))];
  for (const [a, b, c, d] of all as [Point, Point, Point, Point][]) {
    ctx.beginPath();
    ctx.moveTo(...a);
    ctx.bezierCurveTo(...b, ...c, ...d);
    ctx.stroke();
  }
}

function paintDot(ctx: CanvasRenderingContext2D, way: Point[], dot: Dot, progress: number): void {
  if (progress < 0) return;
  ctx.fillStyle = colour(dot.colour);
  for (const [behind, alpha, radius] of [
    [0.06, 0.15, 2],
    [0.03, 0.35, 2.5],
    [0, 1, 3.2],
  ] as const) {
    const [x, y] = along(way, ease(Math.max(0, progress - behind)));
    ctx.globalAlpha = alpha;
    ctx.beginPath();
    ctx.arc(x, y, radius, 0, 7);
    ctx.fill();
  }
  ctx.globalAlpha = 1;
}

function ease(t: number): number {
  return t < 0.5 ? 2 * t * t : 1 - 2 * (1 - t) ** 2;
}

function along(way: readonly Point[], t: number): Point {
  const u = 1 - t;
  const weights = [u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t];
  const at = (axis: 0 | 1) => way.reduce((sum, point, n) => sum + point[axis] * (weights[n] ?? 0), 0);
  return [at(0), at(1)];
}

/** It glows with what has just arrived. */
function paintCore(
  ctx: CanvasRenderingContext2D,
  width: number,
  height: number,
  dots: readonly Dot[],
  timeMs: number,
): void {
  const arriving = dots.filter((dot) => dot.side === "in" && timeMs - dot.bornMs > 0.8 * TRAVEL_MS).length;
  const [x, y, radius] = [width * 0.45, height / 2, 16 + Math.min(14, 3 * Math.sqrt(arriving))];
  const glow = ctx.createRadialGradient(x, y, 4, x, y, radius * 1.8);
  glow.addColorStop(0, colour("--accent"));
  glow.addColorStop(1, "transparent");
  ctx.globalAlpha = 0.35;
  ctx.fillStyle = glow;
  ctx.fillRect(x - 60, y - 60, 120, 120);
  ctx.globalAlpha = 1;
  ctx.fillStyle = colour("--accent");
  ctx.beginPath();
  ctx.arc(x, y, 9, 0, 7);
  ctx.fill();
}
