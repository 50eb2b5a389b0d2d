/** Light, dark, or as the system has it; colours as a canvas needs them. */

import { effect, signal } from "@preact/signals";

export const THEMES = ["auto", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];
const KEY = "rillet.theme";
const probe = document.createElement("i");
const resolved = new Map<string, string>();

const stored = localStorage.getItem(KEY) as Theme | null;
export const theme = signal<Theme>(stored && THEMES.includes(stored) ? stored : "auto");
/** Rises when colours change. */
export const repainted = signal(0);

effect(() => {
  document.documentElement.dataset.theme = theme.value;
  localStorage.setItem(KEY, theme.value);
  resolved.clear();
  repainted.value = repainted.peek() + 1;
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  resolved.clear();
  repainted.value++;
});

/** A custom property of the style sheet, such as `--series-1`, as a colour of its own. */
export function colour(name: string): string {
  const known = resolved.get(name);
  if (known) return known;
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(${name})`;
  const found = getComputedStyle(probe).color;
  resolved.set(name, found);
  return found;
}

/** Sources keep their colour wherever they appear. */
const SOURCES = [
  "content",
  "session_knn",
  "covisitation",
  "trending",
  "search",
  "embedding",
  "recent",
  "cold_start",
];

export function sourceColour(source: string): string {
  const at = SOURCES.indexOf(source);
  return at < 0 ? "--muted" : `--series-${at}`;
}
