import type { Status } from "../types";

const MARKS: Record<Status, string> = { pass: "✓", warn: "!", fail: "✕" };

/** By colour, by shape, and in words for who hears it. */
export function StatusMark({ status }: { status: Status }) {
  return (
    <span class={`mark ${status}`} role="img" aria-label={status}>
      {MARKS[status]}
    </span>
  );
}
