import type { Report } from "../ask";
import { fixed, words } from "../format";
import { href } from "../route";
import type { Alert } from "../types";
import { Ago } from "./basics";
import { StatusMark } from "./status";

/** Newest first, each with a link to the check over time. */
export function Alerts({ reports }: { reports: Report<Alert>[] }) {
  return (
    <ol class="alerts">
      {reports.toReversed().map(({ value }) => (
        <li key={value.alert_id + value.before}>
          <StatusMark status={value.result.status} />
          <a href={href("data", [value.source, value.result.check, value.result.field])}>
            {value.source}: {words(value.result.check)} {value.result.field}
          </a>
          <small>
            {value.before} to {value.result.status}, {fixed(value.result.value)}, {value.result.evidence}
          </small>
          <Ago timeMs={value.window_end_ms} />
        </li>
      ))}
    </ol>
  );
}
