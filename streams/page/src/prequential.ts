/** Curves of prequential figures: windows of all workers merged into bins, weighed by how many they are of. */

import type { Report } from "./ask";
import type { ModelHappening, ModelReport } from "./types";

export interface Figure {
  metric: string;
  k: number | null;
  segment: string | null;
}

export interface Curves {
  timesMs: number[];
  byName: Map<string, (number | null)[]>;
}

interface Point {
  time_ms: number;
  name: string;
  value: number;
  n: number;
}

export function figureName({ metric, k }: Pick<Figure, "metric" | "k">): string {
  return k === null ? metric : `${metric}@${k}`;
}

/** The figures that are means of whole lists, as `metric@k`. */
export function figuresIn(reports: readonly Report<ModelReport>[]): string[] {
  const found = reports.flatMap(({ value }) =>
    value.measurements
      .filter((each) => each.n != null && !each.segment)
      .map((each) => figureName({ metric: each.metric, k: each.k ?? null })),
  );
  return [...new Set(found)].sort();
}

/** One point for each report that has the figure, named by `nameOf`. */
export function points(
  reports: readonly Report<ModelReport>[],
  figure: string,
  nameOf: (report: ModelReport, segment: string | null) => string | null,
): Point[] {
  return reports.flatMap(({ value: report }) =>
    report.measurements.flatMap((each) => {
      const wanted = figureName({ metric: each.metric, k: each.k ?? null }) === figure;
      const name = wanted ? nameOf(report, each.segment ?? null) : null;
      return name === null
        ? []
        : [{ time_ms: report.window_end_ms, name, value: each.value, n: each.n ?? 1 }];
    }),
  );
}

export function curves(found: readonly Point[], fromMs: number, toMs: number, bins: number): Curves {
  const width = (toMs - fromMs) / bins;
  const sums = new Map<string, Map<number, [number, number]>>();
  for (const { time_ms, name, value, n } of found) {
    const bin = Math.floor((time_ms - fromMs) / width);
    if (bin < 0 || bin > bins) continue;
    const own = sums.get(name) ?? new Map<number, [number, number]>();
    const [sum, of] = own.get(bin) ?? [0, 0];
    sums.set(name, own.set(bin, [sum + n * value, of + n]));
  }
  const used = [...new Set([...sums.values()].flatMap((own) => [...own.keys()]))].sort((a, b) => a - b);
  const values = (own: Map<number, [number, number]>) =>
    used.map((bin) => {
      const [sum, of] = own.get(bin) ?? [0, 0];
      return of > 0 ? sum / of : null;
    });
  return {
    timesMs: used.map((bin) => fromMs + (bin + 0.5) * width),
    byName: new Map(
      [...sums].map(([name, own]) => [name, values(own)] as const).sort(([a], [b]) => a.localeCompare(b)),
    ),
  };
}

/** Mean over all, with the number it is of. */
export function mean(found: readonly Point[], name: string): { value: number | null; n: number } {
  const own = found.filter((point) => point.name === name);
  const n = own.reduce((sum, point) => sum + point.n, 0);
  return { value: n ? own.reduce((sum, point) => sum + point.n * point.value, 0) / n : null, n };
}

/** What happened, each once, though reports of several workers may tell of it. */
export function happenings(reports: readonly Report<ModelReport>[]): ModelHappening[] {
  const all = reports.flatMap(({ value }) => value.happenings ?? []);
  const distinct = new Map(
    all.map((each) => [`${each.time_ms} ${each.kind} ${each.estimator} ${each.detail}`, each]),
  );
  return [...distinct.values()].sort((a, b) => b.time_ms - a.time_ms);
}
