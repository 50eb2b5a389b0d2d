import { useEffect, useState } from "preact/hooks";
import { clock, words } from "../format";
import { type Channel, type Live, subscribe } from "../live";
import { type AnyEvent, itemsOf, kindOf } from "../records";
import type { Alert, DeadLetterSummary, Slate } from "../types";
import { Choice, Empty, ItemLink, UserLink } from "./basics";

const SHOWN = 14;
const FILTERS = {
  all: ["events", "slates", "alerts", "dead-letters"],
  events: ["events"],
  slates: ["slates"],
  alerts: ["alerts"],
  "dead-letters": ["dead-letters"],
} as const satisfies Record<string, readonly Channel[]>;
type Filter = keyof typeof FILTERS;

/** The newest records of a sample, in words. */
export function Tail() {
  const [filter, setFilter] = useState<Filter>("all");
  const [records, setRecords] = useState<Live[]>([]);
  useEffect(() => {
    setRecords([]);
    const add = (more: Live[]) =>
      setRecords((before) => [...more, ...before].sort((a, b) => b.time_ms - a.time_ms).slice(0, SHOWN));
    const ends = FILTERS[filter].map((channel) => subscribe(channel, add));
    return () => ends.forEach((end) => void end());
  }, [filter]);
  const options = Object.keys(FILTERS).map(
    (each) => [each as Filter, words(each).replace("-", " ")] as const,
  );
  return (
    <>
      <Choice label="Show" value={filter} options={options} onChange={setFilter} />
      {records.length === 0 && <Empty>Nothing has come yet.</Empty>}
      <ol class="tail" aria-live="off" aria-label="Newest records">
        {records.map((record) => (
          <li key={`${record.topic}-${record.partition}-${record.offset}`}>
            <time>{clock(record.time_ms)}</time>
            <Told record={record} />
          </li>
        ))}
      </ol>
    </>
  );
}

function Told({ record }: { record: Live }) {
  if (record.value === null) return <span>removed or unreadable</span>;
  if (record.channel === "slates") return <ToldSlate slate={record.value as Slate} />;
  if (record.channel === "alerts") return <ToldAlert alert={record.value as Alert} />;
  if (record.channel === "dead-letters") return <ToldLetter letter={record.value as DeadLetterSummary} />;
  return <ToldEvent record={record} event={record.value as AnyEvent} />;
}

function ToldEvent({ record, event }: { record: Live; event: AnyEvent }) {
  const items = itemsOf(event);
  return (
    <>
      <b class="tag">{kindOf(record)}</b>
      <UserLink id={event.user_id} />
      <span class="what">
        {event.query && <q>{event.query}</q>}
        {items[0] !== undefined && <ItemLink id={items[0]} />}
        {items.length > 1 && ` and ${items.length - 1} more`}
      </span>
    </>
  );
}

function ToldSlate({ slate }: { slate: Slate }) {
  const first = slate.items[0];
  return (
    <>
      <b class="tag slate">slate</b>
      <UserLink id={slate.user_id} />
      <span class="what">
        {first ? <ItemLink id={first.item_id} /> : "empty"}
        {slate.items.length > 1 && ` and ${slate.items.length - 1} more`}
        {first?.reasons[0] && <small> by {words(first.reasons[0][0])}</small>}
      </span>
    </>
  );
}

function ToldAlert({ alert }: { alert: Alert }) {
  const { source, before, result } = alert;
  return (
    <>
      <b class={`tag ${result.status}`}>alert</b>
      <span>{source}</span>
      <span class="what">
        {words(result.check)} {result.field}: {before} to {result.status}
      </span>
    </>
  );
}

function ToldLetter({ letter }: { letter: DeadLetterSummary }) {
  return (
    <>
      <b class="tag warn">refused</b>
      <span>{letter.topic}</span>
      <span class="what">
        {words(letter.reason)}: {letter.detail}
      </span>
    </>
  );
}
