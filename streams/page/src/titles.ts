/** What items are called. Asked for when first shown, many at once, and remembered. */

import { signal } from "@preact/signals";
import { get } from "./api";
import type { Item, Page } from "./types";

const MAX_HELD = 5000;
const MAX_ASKED = 100;
const WAIT_MS = 30;
const FORGET_MS = 30_000;

/** By id; null while unknown, or where the catalogue has none. */
const held = signal(new Map<string, Item | null>());
/** Wanted or asked for, and not told yet. */
const pending = new Set<string>();
let wanted: string[] = [];
let timer = 0;

/** What the catalogue did not have it may have by now. */
setInterval(() => {
  const known = [...held.value].filter(([, item]) => item !== null);
  if (known.length < held.value.size) held.value = new Map(known);
}, FORGET_MS);

export function itemOf(id: string): Item | null {
  const found = held.value.get(id);
  if (found === undefined) want(id);
  return found ?? null;
}

export function titleOf(id: string): string {
  return itemOf(id)?.title ?? id;
}

function want(id: string): void {
  if (pending.has(id)) return;
  pending.add(id);
  wanted.push(id);
  if (timer === 0) timer = window.setTimeout(() => void ask(), WAIT_MS);
}

async function ask(): Promise<void> {
  const ids = wanted.slice(0, MAX_ASKED);
  wanted = wanted.slice(MAX_ASKED);
  timer = wanted.length ? window.setTimeout(() => void ask(), WAIT_MS) : 0;
  const page = await get<Page>("/v1/items", { item: ids }).catch(() => null);
  for (const id of ids) pending.delete(id);
  if (page === null) return;
  const found = new Map((page.items as Item[]).map((item) => [item.item_id, item]));
  const merged = [...held.value, ...ids.map((id) => [id, found.get(id) ?? null] as const)];
  held.value = new Map(merged.slice(-MAX_HELD));
}
