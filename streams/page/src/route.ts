/** What is shown is in the address: `#/user/u17?window=1h`. So a view can be bookmarked, shared and gone back to. */

import { computed, signal } from "@preact/signals";

export const VIEWS = {
  now: "Now",
  user: "A user",
  catalogue: "Catalogue",
  learning: "Learning",
  data: "Data",
  operations: "Operations",
} as const;
export type View = keyof typeof VIEWS;

export const WINDOWS = { "5m": 5, "15m": 15, "1h": 60, "6h": 360, "24h": 1440, "7d": 10080 } as const;
export type WindowName = keyof typeof WINDOWS;
const WINDOW: WindowName = "15m";

interface Route {
  view: View;
  path: string[];
  query: Record<string, string>;
}

const hash = signal(location.hash);
addEventListener("hashchange", () => {
  hash.value = location.hash;
});

export const route = computed<Route>(() => parse(hash.value));
export const windowName = computed<WindowName>(() => {
  const asked = route.value.query.window ?? WINDOW;
  return Object.hasOwn(WINDOWS, asked) ? (asked as WindowName) : WINDOW;
});
export const windowMs = computed(() => WINDOWS[windowName.value] * 60_000);

export function parse(text: string): Route {
  const [path = "", query = ""] = text.replace(/^#\/?/, "").split("?");
  const [view = "", ...rest] = path.split("/").map(decoded);
  const known = Object.hasOwn(VIEWS, view) ? (view as View) : "now";
  return { view: known, path: rest, query: Object.fromEntries(new URLSearchParams(query)) };
}

/** The address of a view; the time window stays as it is. */
export function href(view: View, path: readonly string[] = [], query: Record<string, string> = {}): string {
  const kept = windowName.value === WINDOW ? {} : { window: windowName.value };
  const text = new URLSearchParams({ ...kept, ...query }).toString();
  return `#/${[view, ...path.map(encodeURIComponent)].join("/")}${text ? `?${text}` : ""}`;
}

export function go(view: View, path: readonly string[] = [], query: Record<string, string> = {}): void {
  location.hash = href(view, path, query);
}

/** Change parts of the query and nothing else; an empty value takes one away. */
export function refine(changes: Record<string, string>): void {
  const { view, path, query } = route.value;
  const merged = Object.entries({ ...query, ...changes }).filter(([, value]) => value !== "");
  go(view, path, Object.fromEntries(merged));
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
