import { signed, words } from "../format";

export interface Measured {
  name: string;
  value: number;
  /** Half of the 95% interval. */
  error: number;
}

/** Bars from 0 with their intervals, largest first. */
export function Intervals({ label, rows }: { label: string; rows: Measured[] }) {
  const low = Math.min(0, ...rows.map((each) => each.value - each.error));
  const high = Math.max(1e-9, ...rows.map((each) => each.value + each.error));
  const place = (value: number) => (100 * (value - low)) / (high - low);
  const part = (from: number, to: number) => ({
    left: `${place(Math.min(from, to))}%`,
    width: `${place(Math.max(from, to)) - place(Math.min(from, to))}%`,
  });
  return (
    <table class="intervals" aria-label={label}>
      <tbody>
        {rows
          .toSorted((a, b) => b.value - a.value)
          .map(({ name, value, error }) => (
            <tr key={name}>
              <th scope="row">{words(name)}</th>
              <td class="plot" aria-hidden="true">
                <div>
                  <i class={value < 0 ? "bar negative" : "bar"} style={part(0, value)} />
                  <i class="whisker" style={part(value - error, value + error)} />
                </div>
              </td>
              <td>
                {signed(value)} <small>± {error.toFixed(3)}</small>
              </td>
            </tr>
          ))}
      </tbody>
    </table>
  );
}
