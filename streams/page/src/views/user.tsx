import { useEffect, useState } from "preact/hooks";
import { at } from "../api";
import { useAsk } from "../ask";
import { Ago, Answer, Empty, Section, UserLink } from "../components/basics";
import { Interest } from "../components/interest";
import { SlateList } from "../components/slate";
import { Timeline } from "../components/timeline";
import { WhatIf } from "../components/what_if";
import { percent } from "../format";
import { paused, refreshed, subscribe } from "../live";
import { go, route } from "../route";
import { EventStream } from "../stream";
import type { Slate, UserEvents, UserState } from "../types";

const EVERY_MS = 4000;

export function User() {
  const user = route.value.path[0];
  return (
    <>
      <Search key={user} user={user ?? ""} />
      {user ? (
        <Known key={user} user={user} />
      ) : (
        <Section title="Active now">
          <Active />
        </Section>
      )}
    </>
  );
}

function Search({ user }: { user: string }) {
  const [value, setValue] = useState(user);
  const submit = (event: Event) => {
    event.preventDefault();
    if (value.trim()) go("user", [value.trim()]);
  };
  return (
    <search class="wide">
      <form class="search" onSubmit={submit}>
        <label>
          User id
          <input type="search" value={value} onInput={(event) => setValue(event.currentTarget.value)} />
        </label>
        <button type="submit">Show</button>
      </form>
    </search>
  );
}

/** Who had a slate lately. */
function Active() {
  const [users, setUsers] = useState<string[]>([]);
  useEffect(
    () =>
      subscribe("slates", (records) =>
        setUsers((before) => [...new Set([...records.map((each) => each.key), ...before])].slice(0, 24)),
      ),
    [],
  );
  if (users.length === 0) return <Empty>Nobody yet. Users appear as slates are made.</Empty>;
  return (
    <ul class="chips">
      {users.toSorted().map((user) => (
        <li key={user}>
          <UserLink id={user} />
        </li>
      ))}
    </ul>
  );
}

function Known({ user }: { user: string }) {
  const events = useAsk<UserEvents>(at("users", user, "events"), { limit: 60 }, EVERY_MS);
  const state = useAsk<UserState>(at("users", user, "state"), {}, EVERY_MS);
  const slate = useSlate(user);
  return (
    <>
      <Section
        title="Recommendations"
        about="What brought each item, by share of its score, and the user's own item behind it."
      >
        {slate ? <Shown slate={slate} /> : <Empty>Waiting for a slate.</Empty>}
      </Section>
      <div class="stack">
        <Section title="What they did">
          <Answer asked={events}>
            {({ items }) =>
              items.length ? <Timeline events={items} /> : <Empty>Nothing is remembered.</Empty>
            }
          </Answer>
        </Section>
        <Section
          title="Interest by half-life"
          about="How strong it is now, where it halves in minutes, hours or weeks."
        >
          <Answer asked={state}>{(known) => <Interest state={known} />}</Answer>
        </Section>
        <Section title="About them">
          <Answer asked={state}>{(known) => <Traits state={known} />}</Answer>
        </Section>
      </div>
      <Section title="What if" about="Nothing is remembered of what is tried here." wide>
        <WhatIf user={user} />
      </Section>
    </>
  );
}

function Shown({ slate }: { slate: Slate }) {
  return (
    <>
      <p class="about">
        Made <Ago timeMs={slate.processed_ms} /> by {slate.model_version}
        {slate.cold_start && ", for someone of whom nothing is known"}.
      </p>
      <SlateList slate={slate} />
    </>
  );
}

function Traits({ state }: { state: UserState }) {
  const { traits } = state;
  const rows: [string, string][] = [
    ["Events", String(state.n_events)],
    ["Impressions", String(state.n_impressions)],
    ["Platform", state.platform ?? "–"],
    ["Typical price", traits.spending?.toFixed(2) ?? "–"],
    ["Share bought on promotion", percent(traits.promotion, 0)],
    ["Share that was new to them", percent(traits.novelty, 0)],
    ["Bought", String(state.bought.length)],
    ["Dismissed", String(state.dismissed.length)],
    ["Searched for", state.searches.map((each) => each.what).join(", ") || "–"],
  ];
  return (
    <dl class="pairs">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** The slate now, and again whenever it changes. */
function useSlate(user: string): Slate | null {
  const [slate, setSlate] = useState<Slate | null>(null);
  useEffect(() => {
    const stream = new EventStream(at("users", user, "slate", "stream"), (messages) => {
      const last = messages.at(-1);
      if (last && !paused.value) setSlate(JSON.parse(last.data) as Slate);
    });
    stream.start();
    return () => stream.stop();
  }, [user, refreshed.value]);
  return slate;
}
