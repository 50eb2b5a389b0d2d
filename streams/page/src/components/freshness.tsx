import { seconds } from "../format";
import { newestMs, nowMs, paused, stream } from "../live";

const QUIET_MS = 15_000;

/** Whether what is seen is what is: live, quiet, paused, or cut off. */
export function Freshness() {
  const [state, text, more] = standing();
  return (
    <p class={`badge ${state}`} role="status" aria-live="polite">
      <i aria-hidden="true" />
      <span>
        {text}
        {more && <span aria-hidden="true">{more}</span>}
      </span>
    </p>
  );
}

/** How it stands, in words that are told, and what is only seen: a time that is told anew every second is noise. */
function standing(): [string, string, string?] {
  const age = newestMs.value ? nowMs.value - newestMs.value : null;
  if (stream.status.value === "denied") return ["bad", "No access"];
  if (stream.status.value === "broken") return ["bad", "Cut off, trying again"];
  if (stream.status.value === "connecting") return ["warn", "Connecting"];
  if (paused.value) return ["warn", "Paused"];
  if (age === null) return ["warn", "Connected, nothing yet"];
  return age > QUIET_MS ? ["warn", "Quiet", ` for ${seconds(age / 1000)}`] : ["good", "Live"];
}
