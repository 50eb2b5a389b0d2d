/** The one stream of everything that comes: who is interested in a channel subscribes to it. */

import { effect, signal } from "@preact/signals";
import { denied, search, token } from "./api";
import type { Message } from "./sse";
import { EventStream } from "./stream";

export const CHANNELS = [
  "slates",
  "events",
  "quality",
  "checks",
  "model",
  "value",
  "alerts",
  "audit",
  "versions",
  "dead-letters",
] as const;
export type Channel = (typeof CHANNELS)[number];

/** A record of a topic. */
export interface Live<T = unknown> {
  channel: Channel;
  topic: string;
  partition: number;
  offset: number;
  key: string;
  time_ms: number;
  value: T | null;
}

/** How many records there were in a second, by channel. */
export interface Rates {
  time_ms: number;
  interval_s: number;
  seen: Partial<Record<Channel, number>>;
  sent: Partial<Record<Channel, number>>;
}

const MAX_PER_S = 30;
const MAX_RATES = 3600;

export const nowMs = signal(Date.now());
export const paused = signal(false);
/** Time of the newest record of any topic, by its own timestamp. */
export const newestMs = signal(0);
export const rates = signal<Rates[]>([]);

type Take = (records: Live[]) => void;
const takers = new Map<Channel, Set<Take>>();

export const stream = new EventStream(
  `/v1/stream${search({ topics: CHANNELS.join(","), max_per_s: MAX_PER_S })}`,
  (messages) => paused.value || dispatch(messages),
);

/** Rises when what was fetched may be old: after a reconnection, a pause, another token. */
export const refreshed = signal(0);

export function subscribe<T>(channel: Channel, take: (records: Live<T>[]) => void): () => void {
  const found = takers.get(channel) ?? new Set();
  takers.set(channel, found.add(take as Take));
  return () => found.delete(take as Take);
}

export function start(): void {
  effect(() => {
    token.value;
    stream.stop();
    stream.start();
  });
  effect(() => {
    if (stream.opened.value > 0 && !paused.value) refreshed.value = refreshed.peek() + 1;
  });
  effect(() => {
    if (stream.status.value === "live") denied.value = null;
  });
  setInterval(() => {
    if (!paused.value) nowMs.value = Date.now();
  }, 1000);
}

function dispatch(messages: Message[]): void {
  const byChannel = new Map<Channel, Live[]>();
  for (const { event, data } of messages) {
    if (event === "rates") addRates(JSON.parse(data) as Rates);
    else
      byChannel.set(event as Channel, [
        ...(byChannel.get(event as Channel) ?? []),
        record(event as Channel, data),
      ]);
  }
  for (const [channel, records] of byChannel) {
    newestMs.value = Math.max(newestMs.value, ...records.map((each) => each.time_ms));
    for (const take of takers.get(channel) ?? []) take(records);
  }
}

function record(channel: Channel, data: string): Live {
  return { channel, ...(JSON.parse(data) as Omit<Live, "channel">) };
}

/** Seconds in which nothing came are not told: they are filled in, so that curves fall to 0. */
function addRates(told: Rates): void {
  const last = rates.value.at(-1);
  const silent = last !== undefined && told.time_ms - last.time_ms > 2500;
  const quiet = { interval_s: 1, seen: {}, sent: {} };
  const gap = silent
    ? [
        { ...quiet, time_ms: last.time_ms + 1000 },
        { ...quiet, time_ms: told.time_ms - 1000 },
      ]
    : [];
  rates.value = [...rates.value, ...gap, told].slice(-MAX_RATES);
}
