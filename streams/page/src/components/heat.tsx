import { fixed, words } from "../format";
import { href } from "../route";
import type { CheckResult, Status } from "../types";
import { StatusMark } from "./status";

const DIMENSIONS = [
  "completeness",
  "validity",
  "uniqueness",
  "consistency",
  "timeliness",
  "distribution",
  "schema",
  "volume",
];
const WORST: Status[] = ["fail", "warn", "pass"];

/** Field by dimension of a source: each cell is the worst of its checks, and opens it over time. */
export function Heat({ source, checks }: { source: string; checks: CheckResult[] }) {
  const fields = [...new Set(checks.map(rowOf))].sort();
  const dimensions = DIMENSIONS.filter((dimension) => checks.some((each) => each.dimension === dimension));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section class="scroll whole" tabIndex={0} aria-label={`Quality of ${source}`}>
      <table class="heat">
        <thead>
          <tr>
            <th scope="col">
              <span class="hidden">Field</span>
            </th>
            {dimensions.map((dimension) => (
              <th key={dimension} scope="col">
                {dimension}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {fields.map((field) => (
            <tr key={field}>
              <th scope="row">{field || "the whole source"}</th>
              {dimensions.map((dimension) => (
                <td key={dimension}>
                  <Cell
                    source={source}
                    checks={checks.filter((each) => rowOf(each) === field && each.dimension === dimension)}
                  />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** All partitions share a row: there may be many. */
function rowOf(check: CheckResult): string {
  return check.field.startsWith("partition ") ? "partitions" : check.field;
}

function Cell({ source, checks }: { source: string; checks: CheckResult[] }) {
  const worst = checks.toSorted((a, b) => WORST.indexOf(a.status) - WORST.indexOf(b.status))[0];
  if (!worst) return null;
  const about = `${words(worst.check)} ${fixed(worst.value)}, ${worst.status}. ${worst.evidence}`;
  return (
    <a class={`cell ${worst.status}`} href={href("data", [source, worst.check, worst.field])} title={about}>
      <StatusMark status={worst.status} /> {shortly(worst.value)}
      <small class={worst.check === worst.dimension ? "hidden" : ""}>{words(worst.check)}</small>
    </a>
  );
}

function shortly(value: number): string {
  return Math.abs(value) >= 100
    ? String(Math.round(value))
    : value.toPrecision(Math.abs(value) >= 10 ? 3 : 2);
}
