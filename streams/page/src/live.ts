/** The one stream of everything that comes: who is interested in a channel subscribes to it. */

import { effect, signal } from "@preact/signals";
import { denied, search, token } from "./api";
import { appended, type Rates } from "./rates";
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

const MAX_PER_S = 30;

export const nowMs = signal(Date.now());
export const paused = signal(false);
/** When the newest record of any topic came, by the clock that it is held against. */
export const newestMs = signal(0);
export const rates = signal<Rates[]>([]);
/** Whether seconds may have been told that were not heard: the stream was cut off, or paused. */
let missed = false;

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
    if (denied.value) return; // begins again with the next token, though it be the same
    stream.stop();
    stream.start();
  });
  effect(() => {
    if (stream.opened.value === 0 || paused.value) return;
    refreshed.value = refreshed.peek() + 1;
    missed = true;
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
    if (event === "rates") {
      rates.value = appended(rates.value, JSON.parse(data) as Rates, missed);
      missed = false;
    } else
      byChannel.set(event as Channel, [
        ...(byChannel.get(event as Channel) ?? []),
        record(event as Channel, data),
      ]);
  }
  for (const [channel, records] of byChannel) {
    newestMs.value = Date.now();
    for (const take of takers.get(channel) ?? []) take(records);
  }
}

function record(channel: Channel, data: string): Live {
  return { channel, ...(JSON.parse(data) as Omit<Live, "channel">) };
}
