/** Rates over time, as the stream tells them. */

import type { Channel } from "./live";

/** How many records there were in a second, by channel. */
export interface Rates {
  time_ms: number;
  interval_s: number;
  seen: Partial<Record<Channel, number>>;
  sent: Partial<Record<Channel, number>>;
}

const MAX_RATES = 3600;

/** Seconds in which nothing came are not told: they are filled in, so that curves fall to 0. Not where they were `missed`. */
export function appended(before: readonly Rates[], told: Rates, missed: boolean): Rates[] {
  const last = before.at(-1);
  const silent = last !== undefined && !missed && told.time_ms - last.time_ms > 2500;
  const quiet = { interval_s: 1, seen: {}, sent: {} };
  const gap = silent
    ? [
        { ...quiet, time_ms: last.time_ms + 1000 },
        { ...quiet, time_ms: told.time_ms - 1000 },
      ]
    : [];
  return [...before, ...gap, told].slice(-MAX_RATES);
}
