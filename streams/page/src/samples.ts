/** Reads samples of Prometheus: sums, rates and quantiles. Nothing is kept. */

import type { Figures, Sample } from "./types";

export type Labels = Record<string, string>;

export function select(samples: readonly Sample[], name: string, labels: Labels = {}): Sample[] {
  const wanted = Object.entries(labels);
  return samples.filter(
    (each) => each.name === name && wanted.every(([key, value]) => each.labels[key] === value),
  );
}

/** Their sum; null where there is none. */
export function total(samples: readonly Sample[], name: string, labels: Labels = {}): number | null {
  const found = select(samples, name, labels);
  return found.length ? found.reduce((sum, each) => sum + each.value, 0) : null;
}

export function byLabel(samples: readonly Sample[], name: string, label: string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const each of select(samples, name)) {
    const key = each.labels[label] ?? "";
    sums.set(key, (sums.get(key) ?? 0) + each.value);
  }
  return sums;
}

/** What a counter grew by a second from one reading to the next; null after a restart. */
export function rate(before: number | null, after: number | null, elapsedS: number): number | null {
  return before === null || after === null || after < before || elapsedS <= 0
    ? null
    : (after - before) / elapsedS;
}

/** Samples now and then, of the workers that answered both times: one that is back did not do all it ever did just now. */
export function ofBoth(now: Figures, then: Figures): [Sample[], Sample[]] {
  const answered = ({ workers }: Figures) =>
    new Map(workers.filter((each) => each.samples.length).map((each) => [each.address, each.samples]));
  const [after, before] = [answered(now), answered(then)];
  const both = [...after.keys()].filter((address) => before.has(address));
  const from = (samples: Map<string, Sample[]>) => both.flatMap((address) => samples.get(address) ?? []);
  return [from(after), from(before)];
}

/** Cumulative counts by upper bound, summed over all that have the name. */
export function buckets(samples: readonly Sample[], name: string): Map<number, number> {
  const found = byLabel(samples, name, "le");
  return new Map([...found].map(([bound, n]) => [bound === "+Inf" ? Infinity : Number(bound), n]));
}

/** Quantile of what was observed between two readings, linear within a bucket as Prometheus has it. */
export function quantile(q: number, after: Map<number, number>, before?: Map<number, number>): number | null {
  const bounds = [...after.keys()].sort((a, b) => a - b);
  const counts = bounds.map((bound) => (after.get(bound) ?? 0) - (before?.get(bound) ?? 0));
  const n = counts.at(-1) ?? 0;
  if (n <= 0) return null;
  const at = counts.findIndex((each) => each >= q * n);
  const [low, high] = [bounds[at - 1] ?? 0, bounds[at] ?? 0];
  if (high === Infinity) return low;
  const below = counts[at - 1] ?? 0;
  return low + ((high - low) * (q * n - below)) / ((counts[at] ?? 0) - below);
}
