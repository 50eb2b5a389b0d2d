/** Records of the stream as the page shows them: what kind of event, which item, where a slate came from. */

import type { Live } from "./live";
import type { Slate } from "./types";

export const TOPICS = ["events.browse", "events.search", "events.purchase", "events.feedback"] as const;

/** The fields of all events that are shown; each kind has some. They come as the shop sent them, refused ones too. */
export interface AnyEvent {
  user_id: string;
  time_ms: number;
  kind?: string;
  item_id?: string;
  item_ids?: unknown;
  query?: string;
  lines?: unknown;
}

/** What an event is about, as far as it says so. */
export function itemsOf({ item_id, item_ids, lines }: AnyEvent): string[] {
  const listed = Array.isArray(item_ids)
    ? item_ids
    : Array.isArray(lines)
      ? lines.map((line) => line?.item_id)
      : [];
  return [item_id, ...(item_id ? [] : listed)].filter((each) => typeof each === "string");
}

export function kindOf(record: Live): string {
  const event = record.value as AnyEvent | null;
  if (event?.kind) return event.kind;
  return (
    { "events.browse": "view", "events.search": "search", "events.purchase": "purchase" }[record.topic] ??
    "feedback"
  );
}

/** The source that counted most for the first item. */
export function leadingSource(slate: Slate): string | null {
  return slate.items[0]?.reasons[0]?.[0] ?? null;
}
