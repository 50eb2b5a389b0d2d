import { moment, seconds, words } from "../format";
import { nowMs } from "../live";
import type { StoredInteraction } from "../types";
import { Ago, ItemLink } from "./basics";

const AGES_S = [1, 60, 3600, 86_400, 2_592_000];

/** What the user did: a strip by age and kind, and the list. */
export function Timeline({ events }: { events: StoredInteraction[] }) {
  const kinds = [...new Set(events.map((each) => each.kind))].sort();
  return (
    <>
      <Strip events={events} kinds={kinds} />
      <ol class="timeline">
        {events.slice(0, 12).map((each) => (
          <li key={`${each.time_ms} ${each.kind} ${each.item_id}`}>
            <Ago timeMs={each.time_ms} />
            <b class="tag">{each.kind}</b>
            <ItemLink id={each.item_id} />
            <small>
              {each.category}
              {each.dwell_ms ? `, looked at for ${seconds(each.dwell_ms / 1000)}` : ""}
            </small>
          </li>
        ))}
      </ol>
    </>
  );
}

/** Age grows to the left on a logarithmic scale, so that minutes and weeks are both seen. */
function Strip({ events, kinds }: { events: StoredInteraction[]; kinds: string[] }) {
  return (
    <div class="strip" aria-hidden="true">
      {kinds.map((kind) => (
        <div key={kind} class="lane">
          <span>{words(kind)}</span>
          <div>
            {events
              .filter((each) => each.kind === kind)
              .map((each) => (
                <i
                  key={each.time_ms + each.item_id}
                  style={{ right: place(each.time_ms) }}
                  title={moment(each.time_ms)}
                />
              ))}
          </div>
        </div>
      ))}
      <div class="lane ages">
        <span />
        <div>
          {AGES_S.map((age) => (
            <small key={age} style={{ right: placeOf(age) }}>
              {seconds(age)}
            </small>
          ))}
        </div>
      </div>
    </div>
  );
}

function place(timeMs: number): string {
  return placeOf((nowMs.value - timeMs) / 1000);
}

function placeOf(ageS: number): string {
  const oldest = AGES_S.at(-1) ?? 1;
  const share = Math.log(Math.max(1, ageS)) / Math.log(oldest);
  return `${(100 * Math.min(1, share)).toFixed(2)}%`;
}
