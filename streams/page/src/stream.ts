/** A stream of server-sent events that comes back by itself. What arrives is handed on once a frame, never per message. */

import { signal } from "@preact/signals";
import { Problem, request } from "./api";
import { type Message, SseParser } from "./sse";

export type Status = "connecting" | "live" | "broken" | "denied";
const LONGEST_RETRY_MS = 15_000;
const SILENT_MS = 40_000;
/** Messages kept between two frames. */
const MAX_QUEUED = 1000;

/** Closed while the tab is in the background: a browser has six connections to an address, for all its tabs together. */
export class EventStream {
  readonly status = signal<Status>("connecting");
  readonly retryAtMs = signal(0);
  /** Counts the times a connection came about. */
  readonly opened = signal(0);
  private abort = new AbortController();
  private queue: Message[] = [];
  private failures = 0;
  private scheduled = false;

  constructor(
    private readonly path: string,
    private readonly take: (messages: Message[]) => void,
  ) {}

  start(): void {
    this.abort = new AbortController();
    void this.run(this.abort.signal);
  }

  stop(): void {
    this.abort.abort();
  }

  private async run(stop: AbortSignal): Promise<void> {
    for (await seen(stop); !stop.aborted; await seen(stop)) {
      const parser = new SseParser();
      const refused = await this.read(parser, stop).catch((error: unknown) => error);
      if (stop.aborted) return;
      if (refused instanceof Problem && [401, 403].includes(refused.status)) {
        this.status.value = "denied";
        return;
      }
      if (document.hidden) this.status.value = "connecting";
      else await this.wait(parser.retryMs, stop);
    }
  }

  private async read(parser: SseParser, stop: AbortSignal): Promise<void> {
    const silence = new AbortController();
    let watch = setTimeout(() => silence.abort(), SILENT_MS);
    const leave = () => document.hidden && silence.abort();
    document.addEventListener("visibilitychange", leave, { signal: AbortSignal.any([stop, silence.signal]) });
    const answer = await request(this.path, { signal: AbortSignal.any([stop, silence.signal]) });
    this.status.value = "live";
    this.opened.value++;
    this.failures = 0;
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    const decoder = new TextDecoder();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      clearTimeout(watch);
      watch = setTimeout(() => silence.abort(), SILENT_MS);
      this.put(parser.feed(decoder.decode(piece.value, { stream: true })));
    }
    clearTimeout(watch);
    silence.abort();
  }

  private put(messages: Message[]): void {
    this.queue.push(...messages);
    if (this.queue.length > MAX_QUEUED) this.queue.splice(0, this.queue.length - MAX_QUEUED);
    if (this.scheduled || this.queue.length === 0) return;
    this.scheduled = true;
    requestAnimationFrame(this.flush);
  }

  private readonly flush = (): void => {
    this.scheduled = false;
    const messages = this.queue;
    this.queue = [];
    this.take(messages);
  };

  private wait(retryMs: number, stop: AbortSignal): Promise<void> {
    const delayMs = Math.min(LONGEST_RETRY_MS, (retryMs / 2) * 2 ** this.failures++);
    this.status.value = "broken";
    this.retryAtMs.value = Date.now() + delayMs;
    return new Promise((resolve) => {
      setTimeout(resolve, delayMs);
      stop.addEventListener("abort", () => resolve());
    });
  }
}

/** Resolves when the tab is seen, or it is over. */
function seen(stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !stop.aborted) return;
      document.removeEventListener("visibilitychange", look);
      stop.removeEventListener("abort", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    stop.addEventListener("abort", look);
    look();
  });
}
