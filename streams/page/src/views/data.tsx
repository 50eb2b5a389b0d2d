import type { Report } from "../ask";
import { useAsk, useReports } from "../ask";
import { Alerts } from "../components/alerts";
import { Ago, Answer, Choice, Empty, Section } from "../components/basics";
import { Chart } from "../components/chart";
import { DeadLetters } from "../components/dead_letters";
import { Heat } from "../components/heat";
import { Intervals } from "../components/intervals";
import { StatusMark } from "../components/status";
import { Table } from "../components/table";
import { bytes, clock, count, fixed, percent, seconds, words } from "../format";
import { nowMs } from "../live";
import { href, refine, route, windowMs } from "../route";
import type { Alert, Asset, CheckReport, CheckResult, Page, Status, ValueReport } from "../types";

type Checks = Report<CheckReport>[];

export function Data() {
  const [source, check, field = ""] = route.value.path;
  const checks = useReports<CheckReport>("checks", "/v1/reports/checks", windowMs.value);
  return (
    <>
      {source && check && (
        <Section
          title={`${words(check)} ${field} of ${source}`}
          beside={<a href={href("data", [source])}>Close</a>}
          wide
        >
          <Answer asked={checks}>
            {(found) => <OverTime reports={found} source={source} check={check} field={field} />}
          </Answer>
        </Section>
      )}
      <Section
        title="Quality by field and dimension"
        about="Each check as it last came out in this window, the worst in a cell. A cell opens its windows and evidence."
        wide
      >
        <Answer asked={checks} empty="No source has been checked in this window.">
          {(found) => <HeatOf reports={found} asked={source} />}
        </Answer>
      </Section>
      <Section
        title="What data is worth"
        about="Shapley's share of the ranking's figure, with the 95% interval, over this window."
      >
        <Worth />
      </Section>
      <Section title="Alerts">
        <AllAlerts />
      </Section>
      <Section title="Inventory" wide>
        <Inventory />
      </Section>
      <Section
        title="Dead letters"
        about="Records that were refused, with their bytes. Once the cause is mended, send them again."
        wide
      >
        <DeadLetters />
      </Section>
    </>
  );
}

function HeatOf({ reports, asked }: { reports: Checks; asked: string | undefined }) {
  const newest = new Map(reports.map((each) => [each.value.source, each]));
  const sources = [...newest.keys()].sort();
  const report = newest.get(asked ?? "") ?? newest.get(sources[0] ?? "");
  if (!report) return <Empty>No source has been checked in this window.</Empty>;
  const { value } = report;
  return (
    <>
      <ul class="chips">
        {sources.map((source) => (
          <li key={source}>
            <a href={href("data", [source])} aria-current={source === value.source ? "true" : undefined}>
              <StatusMark status={worst(newestChecks(reports, source))} /> {source}
            </a>
          </li>
        ))}
      </ul>
      <Heat source={value.source} checks={newestChecks(reports, value.source)} />
      <p class="about">
        Newest window: {clock(value.window_start_ms)} to {clock(value.window_end_ms)}, {count(value.n_events)}{" "}
        events, <Ago timeMs={value.window_end_ms} />. Not every check is made in every window.
      </p>
    </>
  );
}

/** Checks need different numbers of events, so that each has a newest window of its own. */
function newestChecks(reports: Checks, source: string): CheckResult[] {
  const own = reports.filter(({ value }) => value.source === source).flatMap(({ value }) => value.checks);
  return [...new Map(own.map((each) => [`${each.check} ${each.field}`, each])).values()];
}

function worst(checks: CheckResult[]): Status {
  return (
    (["fail", "warn"] as const).find((status) => checks.some((each) => each.status === status)) ?? "pass"
  );
}

interface OfCheck extends CheckResult {
  end_ms: number;
}

function OverTime(props: { reports: Checks; source: string; check: string; field: string }) {
  const found = props.reports
    .filter(({ value }) => value.source === props.source)
    .flatMap(({ value }) =>
      value.checks
        .filter((each) => each.check === props.check && each.field === props.field)
        .map((each): OfCheck => ({ ...each, end_ms: value.window_end_ms })),
    )
    .sort((a, b) => a.end_ms - b.end_ms);
  if (found.length === 0) return <Empty>This check was not made in this window.</Empty>;
  return (
    <>
      <Chart
        label={`${words(props.check)} over time`}
        timesMs={found.map((each) => each.end_ms)}
        lines={[
          { name: "seen", colour: "--series-0", values: found.map((each) => each.value) },
          { name: "at least", colour: "--muted", values: found.map((each) => each.low), dash: [4, 4] },
          { name: "at most", colour: "--muted", values: found.map((each) => each.high), dash: [1, 3] },
        ]}
        format={(value) => fixed(value)}
        fromMs={nowMs.value - windowMs.value}
        toMs={nowMs.value}
      />
      <Evidence found={found.toReversed().slice(0, 20)} />
    </>
  );
}

function Evidence({ found }: { found: OfCheck[] }) {
  return (
    <Table
      caption="Windows of this check, newest first"
      rows={found}
      keyOf={(each) => String(each.end_ms)}
      columns={[
        { head: "Window until", cell: (each) => clock(each.end_ms) },
        { head: "Status", cell: (each) => <StatusMark status={each.status} />, text: true },
        { head: "Value", cell: (each) => fixed(each.value, 4) },
        { head: "At least", cell: (each) => fixed(each.low, 4) },
        { head: "At most", cell: (each) => fixed(each.high, 4) },
        { head: "Of", cell: (each) => count(each.n) },
        { head: "Evidence", cell: (each) => each.evidence, text: true },
      ]}
    />
  );
}

const BY = [
  ["signal", "signal"],
  ["source", "source of data"],
] as const;
const METRICS = [
  ["ndcg", "NDCG"],
  ["hit_rate", "hit rate"],
  ["mrr", "MRR"],
] as const;

function Worth() {
  const reports = useReports<ValueReport>("value", "/v1/reports/value", windowMs.value);
  const of = route.value.query.worth ?? "signal";
  const metric = route.value.query.metric ?? "ndcg";
  return (
    <>
      <div class="actions">
        <Choice label="By" value={of} options={BY} onChange={(worth) => refine({ worth })} />
        <Choice
          label="Figure"
          value={metric}
          options={METRICS}
          onChange={(value) => refine({ metric: value })}
        />
      </div>
      <Answer asked={reports} empty="Nothing was valued in this window. Values come with outcomes of slates.">
        {(found) => <WorthOf reports={found.filter(({ value }) => value.of === of)} metric={metric} />}
      </Answer>
    </>
  );
}

/** Windows combine as means weighed by their lists; their errors as those of independent means. */
function WorthOf({ reports, metric }: { reports: Report<ValueReport>[]; metric: string }) {
  const n = reports.reduce((sum, { value }) => sum + value.n, 0);
  const players = new Map<string, { sum: number; variance: number }>();
  for (const { value: report } of reports) {
    for (const each of report.values.filter((value) => value.metric === metric)) {
      const { sum, variance } = players.get(each.player) ?? { sum: 0, variance: 0 };
      players.set(each.player, {
        sum: sum + report.n * each.value,
        variance: variance + (report.n * each.value_error) ** 2,
      });
    }
  }
  if (players.size === 0) return <Empty>Nothing of this kind in this window.</Empty>;
  const rows = [...players].map(([name, { sum, variance }]) => ({
    name,
    value: sum / n,
    error: (1.96 * Math.sqrt(variance)) / n,
  }));
  return (
    <>
      <Intervals label="Worth" rows={rows} />
      <p class="about">Over {count(n)} lists.</p>
    </>
  );
}

function AllAlerts() {
  const asked = useReports<Alert>("alerts", "/v1/alerts", windowMs.value);
  return (
    <Answer asked={asked} empty="No check changed its status in this window.">
      {(found) => <Alerts reports={found.slice(-20)} />}
    </Answer>
  );
}

function Inventory() {
  const asked = useAsk<Page>("/v1/inventory", { limit: 200 }, 15_000);
  return (
    <Answer asked={asked}>
      {({ items }) =>
        items.length ? (
          <Assets assets={items as Asset[]} />
        ) : (
          <Empty>Nothing was looked over yet. The command rillet inventory, with --publish, does.</Empty>
        )
      }
    </Answer>
  );
}

function Assets({ assets }: { assets: Asset[] }) {
  return (
    <Table
      caption="Topics and tables"
      rows={assets}
      keyOf={(each) => each.asset}
      columns={[
        { head: "Asset", cell: (each) => each.asset },
        { head: "Holds", cell: (each) => each.content, text: true },
        { head: "Records", cell: (each) => count(each.n_records) },
        { head: "Per s", cell: (each) => count(each.records_per_s) },
        { head: "A day", cell: (each) => bytes(each.cost.bytes_per_day) },
        { head: "Newest", cell: (each) => seconds(each.freshness_s) },
        { head: "Quality", cell: (each) => percent(each.scores?.overall) },
        { head: "Worth", cell: (each) => fixed(each.value) },
        { head: "Lag", cell: (each) => count(each.readers.reduce((sum, reader) => sum + reader.lag, 0)) },
        {
          head: "Personal",
          cell: (each) =>
            each.columns
              .filter((column) => column.personal)
              .map((column) => column.path)
              .join(", "),
          text: true,
        },
        {
          head: "Feeds",
          cell: (each) => each.reaches.map((topic) => topic.replace("recommendations.", "")).join(", "),
          text: true,
        },
      ]}
    />
  );
}
