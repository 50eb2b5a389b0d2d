/** Hooks that ask the API: once, again and again, or for reports that then go on by the stream. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get, Problem, type Query, search } from "./api";
import { type Channel, type Live, nowMs, paused, refreshed, subscribe } from "./live";
import { type Report, together } from "./reports";
import type { Page } from "./types";

export interface Asked<T> {
  value: T | null;
  problem: Problem | null;
}

/** The answer to `path`, asked anew every `everyMs` where that is given; the last one stays until the next has come. */
export function useAsk<T>(path: string, query: Query = {}, everyMs = 0): Asked<T> {
  const url = path + search(query);
  return useTask<T>(url, (stop) => get<T>(url, {}, stop), everyMs);
}

/** All pages of a list, up to so many. */
export function useList<T>(path: string, query: Query = {}, everyMs = 0): Asked<T[]> {
  return useTask<T[]>(path + search(query), (stop) => collect<T>(path, query, stop), everyMs);
}

export type { Report } from "./reports";

/** Reports of a window that ends now, oldest first, and those that come while they are shown. */
export function useReports<T>(channel: Channel, path: string, windowMs: number): Asked<Report<T>[]> {
  const [fresh, setFresh] = useState<Report<T>[]>([]);
  const asked = useTask<Report<T>[]>(`${path} ${windowMs}`, async (stop) => {
    const found = await collect<Report<T>>(path, { since_ms: Date.now() - windowMs }, stop);
    return found.reverse();
  });
  useEffect(
    () => subscribe<T>(channel, (records) => setFresh((before) => [...before, ...told(records)].slice(-MAX))),
    [channel],
  );
  const all = useMemo(() => asked.value && together(asked.value, fresh), [asked.value, fresh]);
  const fromMs = nowMs.value - windowMs;
  return { ...asked, value: all && all.filter((each) => each.time_ms >= fromMs) };
}

function told<T>(records: Live<T>[]): Report<T>[] {
  return records.flatMap(({ key, time_ms, value }) => (value === null ? [] : [{ key, time_ms, value }]));
}

const PAGE = 500;
const MAX = 4000;

async function collect<T>(path: string, query: Query, stop: AbortSignal): Promise<T[]> {
  const found: T[] = [];
  let cursor: string | null = null;
  do {
    const page: Page = await get<Page>(path, { limit: PAGE, ...query, cursor }, stop);
    found.push(...(page.items as T[]));
    cursor = page.next;
  } while (cursor !== null && found.length < MAX);
  return found;
}

/** Done anew when `key` changes, after a reconnection or a pause, and by time. */
function useTask<T>(key: string, task: (stop: AbortSignal) => Promise<T>, everyMs = 0): Asked<T> {
  const [state, setState] = useState<Asked<T> & { of: string }>({ value: null, problem: null, of: key });
  const current = useRef(task);
  current.current = task;
  const round = refreshed.value;
  useEffect(() => {
    const stop = new AbortController();
    const run = () =>
      current.current(stop.signal).then(
        (value) => setState({ value, problem: null, of: key }),
        (error: unknown) => {
          if (stop.signal.aborted) return;
          const known = (before: Asked<T> & { of: string }) => (before.of === key ? before.value : null);
          setState((before) => ({ value: known(before), problem: problemOf(error), of: key }));
        },
      );
    void run();
    const timer = everyMs ? setInterval(() => paused.value || document.hidden || run(), everyMs) : 0;
    return () => {
      stop.abort();
      clearInterval(timer);
    };
  }, [key, round, everyMs]);
  return state;
}

function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem(0, "Something is wrong with this page", String(error), "Load it again.");
}
