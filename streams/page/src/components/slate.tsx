import { percent, words } from "../format";
import { sourceColour } from "../theme";
import type { ReasonCode, Slate } from "../types";
import { ItemLink } from "./basics";

/** The items in order, with what brought each. */
export function SlateList({ slate }: { slate: Slate }) {
  return (
    <ol class="slate">
      {slate.items.map((item) => (
        <li key={item.item_id}>
          <ItemLink id={item.item_id} />
          <Reasons reasons={item.reasons} />
          {item.propensity != null && item.propensity < 1 && (
            <small>tried out, with chance {percent(item.propensity)}</small>
          )}
        </li>
      ))}
    </ol>
  );
}

/** Shares of the score as a bar, and in words. */
function Reasons({ reasons }: { reasons: readonly ReasonCode[] }) {
  return (
    <>
      <span class="shares" aria-hidden="true">
        {reasons.map(([source, share]) => (
          <i key={source} style={{ width: percent(share), background: `var(${sourceColour(source)})` }} />
        ))}
      </span>
      <small>
        {reasons.map(([source, share, because], at) => (
          <span key={source}>
            {at > 0 && ", "}
            {words(source)} {percent(share, 0)}
            {because && (
              <>
                {" "}
                for <ItemLink id={because} />
              </>
            )}
          </span>
        ))}
      </small>
    </>
  );
}
