import { createParser, type EventSourceMessage } from "eventsource-parser";
import { waited } from "./patience.js";
import { RilletError } from "./problem.js";

/** Opens a stream behind the event with this id; empty: at its beginning. */
export type Open = (lastId: string, signal: AbortSignal) => Promise<Response>;

/** Without a sign of life for so long a stream is opened anew. */
const SILENT_MS = 60_000;
const FIRST_WAIT_MS = 2_000;

/**
 * Server-sent events (WHATWG HTML), without end: a stream that breaks off, or that a restarting API closes, is opened again
 * behind its last event. Ends when `signal` is aborted.
 *
 * @throws RilletError when the API refuses the stream for good, such as for its token.
 */
export async function* streamed(open: Open, signal?: AbortSignal): AsyncGenerator<EventSourceMessage> {
  const over = new AbortController();
  const until = signal ? AbortSignal.any([signal, over.signal]) : over.signal;
  const place = { lastId: "", waitMs: FIRST_WAIT_MS };
  try {
    while (!until.aborted) {
      yield* once(open, place, until);
      await waited(place.waitMs, until);
    }
  } catch (error) {
    if (!until.aborted) throw error;
  } finally {
    over.abort();
  }
}

async function* once(open: Open, place: { lastId: string; waitMs: number }, until: AbortSignal) {
  const silent = new AbortController();
  let timer = setTimeout(() => silent.abort(), SILENT_MS);
  try {
    const found: EventSourceMessage[] = [];
    const parser = createParser({
      onEvent: (event) => found.push(event),
      onRetry: (ms) => {
        place.waitMs = ms;
      },
    });
    const answer = await open(place.lastId, AbortSignal.any([until, silent.signal]));
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    for (let piece = await reader?.read(); piece && !piece.done; piece = await reader?.read()) {
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENT_MS);
      parser.feed(piece.value);
      for (const event of found.splice(0)) {
        place.lastId = event.id || place.lastId;
        yield event;
      }
    }
  } catch (error) {
    if (until.aborted || !passes(error)) throw error;
  } finally {
    clearTimeout(timer);
    silent.abort();
  }
}

function passes(error: unknown): boolean {
  return !(error instanceof RilletError) || [0, 429].includes(error.status) || error.status >= 500;
}
