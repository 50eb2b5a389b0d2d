/** Lag, latency and rates over time, from the figures of workers and API, read every two seconds while anyone looks. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "./api";
import { paused } from "./live";
import { buckets, byLabel, ofBoth, quantile, rate, total } from "./samples";
import type { Figures, Sample } from "./types";

const EVERY_MS = 2000;
const MAX_READINGS = 1800;
/** Quantiles are over so many readings: one alone holds too few slates. */
const SPAN = 5;

export interface Reading {
  time_ms: number;
  p50_s: number | null;
  p99_s: number | null;
  lag: number | null;
  /** Records a second by topic. */
  records: Map<string, number>;
  slates_per_s: number | null;
}

export const readings = signal<Reading[]>([]);
export const figures = signal<Figures | null>(null);
let recent: Figures[] = [];
let watchers = 0;
let timer = 0;

/** Keep the figures coming while the component is shown. */
export function useFigures(): void {
  useEffect(() => {
    if (watchers++ === 0) {
      void read();
      timer = window.setInterval(() => void read(), EVERY_MS);
    }
    return () => {
      if (--watchers === 0) clearInterval(timer);
    };
  }, []);
}

async function read(): Promise<void> {
  if (paused.value || document.hidden) return;
  const told = await get<Figures>("/v1/figures").catch(() => null);
  if (told === null) return;
  recent = [...recent, told].slice(-SPAN - 1);
  figures.value = told;
  readings.value = [...readings.value, reading(told, recent)].slice(-MAX_READINGS);
}

export function ofWorkers(told: Figures): Sample[] {
  return told.workers.flatMap((worker) => worker.samples);
}

export function reading(now: Figures, before: readonly Figures[]): Reading {
  const [samples, then] = ofBoth(now, before[0] ?? now);
  const elapsedS = (now.time_ms - (before[0] ?? now).time_ms) / 1000;
  const name = "rillet_slate_latency_seconds_bucket";
  const grown = (metric: string, labels: Record<string, string>) =>
    rate(total(then, metric, labels), total(samples, metric, labels), elapsedS);
  const [after, earlier] = [buckets(samples, name), buckets(then, name)];
  const topics = [...byLabel(ofWorkers(now), "rillet_records_total", "topic").keys()];
  return {
    time_ms: now.time_ms,
    p50_s: quantile(0.5, after, earlier),
    p99_s: quantile(0.99, after, earlier),
    lag: total(ofWorkers(now), "rillet_lag_records"),
    records: new Map(topics.map((topic) => [topic, grown("rillet_records_total", { topic }) ?? 0])),
    slates_per_s: grown("rillet_slates_total", { kind: "user" }),
  };
}
