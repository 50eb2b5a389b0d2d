import { useState } from "preact/hooks";
import { at, Problem, post } from "../api";
import { words } from "../format";
import type { ExplainedItem, Explanation, WhatIfAnswer, WhatIfRequest } from "../types";
import { Choice, ItemLink } from "./basics";
import { Trouble } from "./trouble";

const KINDS = ["view", "cart", "wishlist", "purchase", "dismiss", "search"] as const;
type Kind = (typeof KINDS)[number];
const SOURCES = [
  "session_knn",
  "covisitation",
  "content",
  "search",
  "trending",
  "cold_start",
  "recent",
  "embedding",
];
const MAX_FACTOR = 3;

/** An event that did not happen, or other weights: the slate as it is beside the slate as it would be. */
export function WhatIf({ user }: { user: string }) {
  const [kind, setKind] = useState<Kind>("view");
  const [what, setWhat] = useState("");
  const [factors, setFactors] = useState<Record<string, number>>({});
  const [relevance, setRelevance] = useState<number | null>(null);
  const [answer, setAnswer] = useState<WhatIfAnswer | Problem | null>(null);
  const ask = (event: Event) => {
    event.preventDefault();
    const asked = request(kind, what.trim(), factors, relevance);
    post<WhatIfAnswer>(at("users", user, "what-if"), asked).then(setAnswer, (error) =>
      setAnswer(error as Problem),
    );
  };
  const reset = () => {
    setWhat("");
    setFactors({});
    setRelevance(null);
    setAnswer(null);
  };
  return (
    <form class="whatif" onSubmit={ask} aria-label="What if">
      <fieldset>
        <legend>This happened</legend>
        <Choice
          label="Event"
          value={kind}
          options={KINDS.map((each) => [each, each] as const)}
          onChange={setKind}
        />
        <label class="choice">
          <span>{kind === "search" ? "Query" : "Item id"}</span>
          <input value={what} onInput={(event) => setWhat(event.currentTarget.value)} placeholder="none" />
        </label>
      </fieldset>
      <fieldset class="sliders">
        <legend>Sources counted so many times</legend>
        {SOURCES.map((source) => (
          <Slider
            key={source}
            name={words(source)}
            value={factors[source] ?? 1}
            max={MAX_FACTOR}
            onChange={(value) => setFactors({ ...factors, [source]: value })}
          />
        ))}
        <Slider name="relevance against variety" value={relevance ?? 0.9} max={1} onChange={setRelevance} />
      </fieldset>
      <div class="actions">
        <button type="submit">Compare</button>
        <button type="button" onClick={reset}>
          As it is
        </button>
      </div>
      <div aria-live="polite">
        {answer instanceof Problem && <Trouble problem={answer} />}
        {answer && !(answer instanceof Problem) && <SideBySide answer={answer} />}
      </div>
    </form>
  );
}

function request(
  kind: Kind,
  what: string,
  factors: Record<string, number>,
  relevance: number | null,
): WhatIfRequest {
  const weights = Object.fromEntries(Object.entries(factors).filter(([, factor]) => factor !== 1));
  const settings = relevance === null ? {} : { mmr_lambda: relevance };
  return { events: what ? [eventOf(kind, what)] : [], weights, settings };
}

function eventOf(kind: Kind, what: string): Record<string, unknown> {
  if (kind === "search") return { query: what };
  if (kind === "view") return { item_id: what };
  if (kind === "purchase") return { lines: [{ item_id: what }] };
  return { kind, item_id: what };
}

function Slider(props: { name: string; value: number; max: number; onChange: (value: number) => void }) {
  return (
    <div class="slider">
      <label>
        <span>{props.name}</span>
        <input
          type="range"
          min={0}
          max={props.max}
          step={0.05}
          value={props.value}
          onInput={(event) => props.onChange(Number(event.currentTarget.value))}
        />
      </label>
      <output>{props.value.toFixed(2)}</output>
    </div>
  );
}

function SideBySide({ answer }: { answer: WhatIfAnswer }) {
  const places = new Map(answer.now.items.map((item) => [item.item_id, item.place ?? 0]));
  const left = new Set(answer.imagined.items.map((item) => item.item_id));
  const kept = answer.now.items.filter((item) => left.has(item.item_id)).length;
  return (
    <>
      <p class="about">
        {kept} of {answer.now.items.length} items stay.
      </p>
      <div class="sides">
        <Side
          name="As it is"
          explanation={answer.now}
          note={(item) => (left.has(item.item_id) ? "" : "leaves")}
        />
        <Side name="As it would be" explanation={answer.imagined} note={(item) => moved(item, places)} />
      </div>
    </>
  );
}

function Side(props: { name: string; explanation: Explanation; note: (item: ExplainedItem) => string }) {
  return (
    <section aria-label={props.name}>
      <h3>{props.name}</h3>
      <ol class="side">
        {props.explanation.items.map((item) => (
          <li key={item.item_id}>
            <ItemLink id={item.item_id} />
            <small class="moved">{props.note(item)}</small>
          </li>
        ))}
      </ol>
    </section>
  );
}

function moved(item: ExplainedItem, places: Map<string, number>): string {
  const before = places.get(item.item_id);
  if (before === undefined) return "new";
  const up = before - (item.place ?? before);
  return up === 0 ? "" : up > 0 ? `▲ ${up}` : `▼ ${-up}`;
}
