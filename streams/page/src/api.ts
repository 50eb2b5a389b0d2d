/** Asks the HTTP API. A token, where one is needed, is kept until the tab closes. */

import { signal } from "@preact/signals";
import type { ProblemDetails } from "./types";

const KEY = "rillet.token";
const TIMEOUT_MS = 20_000;

export const token = signal(sessionStorage.getItem(KEY) ?? "");
/** What the API said when it refused the token, or the lack of one. */
export const denied = signal<Problem | null>(null);

export type Query = Record<string, string | number | boolean | readonly string[] | null | undefined>;

/** An error that says what to do about it. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly fix: string,
  ) {
    super(`${title}: ${detail}`);
  }
}

export function useToken(value: string): void {
  sessionStorage.setItem(KEY, value);
  token.value = value;
  denied.value = null;
}

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  const late = AbortSignal.timeout(TIMEOUT_MS);
  const how = { signal: signal ? AbortSignal.any([signal, late]) : late };
  return (await (await request(path + search(query), how)).json()) as T;
}

export async function post<T>(path: string, body: unknown): Promise<T> {
  const headers = { "Content-Type": "application/json" };
  const answer = await request(path, { method: "POST", headers, body: JSON.stringify(body) });
  return (await answer.json()) as T;
}

/** The answer when it is a good one. Throws a `Problem` else, and an `AbortError` when it was given up. */
export async function request(path: string, how: RequestInit = {}): Promise<Response> {
  const headers = new Headers(how.headers);
  if (token.value) headers.set("Authorization", `Bearer ${token.value}`);
  const answer = await fetch(path, { ...how, headers }).catch(unreachable);
  if (answer.ok) return answer;
  const problem = await problemOf(answer);
  how.signal?.throwIfAborted(); // its body was not read to the end, and tells nothing
  if (problem.status === 401) denied.value = problem;
  throw problem;
}

/** `path` with every part encoded: `at("users", "a/b")` is `/v1/users/a%2Fb`. */
export function at(...parts: (string | number)[]): string {
  return `/v1/${parts.map((part) => encodeURIComponent(part)).join("/")}`;
}

export function search(query: Query): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined) continue;
    for (const each of Array.isArray(value) ? value : [value]) given.append(name, String(each));
  }
  return given.size ? `?${given}` : "";
}

async function problemOf(answer: Response): Promise<Problem> {
  const told = (await answer.json().catch(() => ({}))) as Partial<ProblemDetails>;
  const title = told.title ?? `The API answers ${answer.status}`;
  return new Problem(answer.status, title, told.detail ?? answer.statusText, told.fix ?? "Try again.");
}

function unreachable(error: unknown): never {
  if (error instanceof DOMException && error.name === "AbortError") throw error;
  throw new Problem(
    0,
    "Not connected",
    "The API does not answer.",
    "It is tried again by itself; see that `rillet api` runs.",
  );
}
