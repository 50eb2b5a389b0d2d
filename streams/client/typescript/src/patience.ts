import { RilletError } from "./problem.js";

export type Fetch = (request: Request) => Promise<Response>;

const MAX_WAIT_MS = 10_000;
const NOT_TWICE = "/v1/dead-letters/replay";

/**
 * A `fetch` that gives each attempt `timeoutMs` to begin its answer, and tries again where nobody answers or the API asks to come
 * again. Events may be sent twice: one `event_id` counts once. A replay of dead letters is not.
 */
export function patient(fetch: Fetch, timeoutMs: number, attempts: number): Fetch {
  return async (request) => {
    const most = new URL(request.url).pathname.endsWith(NOT_TWICE) ? 1 : attempts;
    for (let attempt = 1; ; attempt++) {
      const last = attempt >= most;
      try {
        const answer = await inTime(fetch, request.clone(), timeoutMs);
        if (last || (answer.status !== 429 && answer.status !== 503)) return answer;
        await answer.body?.cancel();
        await waited(retryMs(answer.headers.get("Retry-After")), request.signal);
      } catch (error) {
        request.signal.throwIfAborted();
        if (last) throw RilletError.unreachable(request.url, error);
        await waited(100 * 2 ** attempt * (0.5 + Math.random()), request.signal);
      }
    }
  };
}

/** `Retry-After` is seconds or a date (RFC 9110); a second where it is neither. */
export function retryMs(told: string | null): number {
  if (told === null) return 1000;
  const ms = /^\s*\d+\s*$/.test(told) ? 1000 * Number(told) : Date.parse(told) - Date.now();
  return Number.isNaN(ms) ? 1000 : Math.max(0, ms);
}

/** Resolves after `ms`, at most ten seconds. Rejects as soon as it is given up. */
export function waited(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const given = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const done = () => {
      signal.removeEventListener("abort", given);
      resolve();
    };
    const timer = setTimeout(done, Math.min(ms, MAX_WAIT_MS));
    if (signal.aborted) given();
    signal.addEventListener("abort", given, { once: true });
  });
}

async function inTime(fetch: Fetch, request: Request, timeoutMs: number): Promise<Response> {
  const late = new AbortController();
  const timer = setTimeout(
    () => late.abort(new DOMException("no answer in time", "TimeoutError")),
    timeoutMs,
  );
  try {
    return await fetch(new Request(request, { signal: AbortSignal.any([request.signal, late.signal]) }));
  } finally {
    clearTimeout(timer);
  }
}
