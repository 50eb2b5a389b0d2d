import { fixed, seconds } from "../format";
import type { UserState, Weighted } from "../types";
import { Empty } from "./basics";

const SHOWN = 6;
const KINDS = ["categories", "brands", "terms", "bands", "stores"] as const;
const NAMES: Record<(typeof KINDS)[number], string> = {
  categories: "Categories",
  brands: "Brands",
  terms: "Searched for",
  bands: "Price bands",
  stores: "Stores",
};

/** Affinities at each half-life: what is liked now beside what was liked for long. */
export function Interest({ state }: { state: UserState }) {
  const known = KINDS.filter((kind) => state[kind].length > 0);
  if (known.length === 0) return <Empty>Nothing is known of this user yet.</Empty>;
  return (
    <div class="interest">
      {known.map((kind) => (
        <Affinities key={kind} name={NAMES[kind]} all={state[kind]} halfLivesS={state.half_lives_s} />
      ))}
    </div>
  );
}

function Affinities({ name, all, halfLivesS }: { name: string; all: Weighted[]; halfLivesS: number[] }) {
  const best = halfLivesS.map((_, at) => Math.max(1e-9, ...all.map((each) => each.weights[at] ?? 0)));
  return (
    <table class="bars">
      <caption>{name}</caption>
      <thead>
        <tr>
          <th scope="col">
            <span class="hidden">{name}</span>
          </th>
          {halfLivesS.map((each) => (
            <th key={each} scope="col">
              {seconds(each)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {all.slice(0, SHOWN).map((each) => (
          <tr key={each.key}>
            <th scope="row">{each.key}</th>
            {each.weights.map((weight, at) => (
              <td key={halfLivesS[at]}>
                <i style={{ width: `${(100 * weight) / (best[at] ?? 1)}%` }} aria-hidden="true" />
                <span class="hidden">{fixed(weight, 2)}</span>
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
