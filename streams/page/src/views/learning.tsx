import type { Report } from "../ask";
import { useList, useReports } from "../ask";
import { Ago, Answer, Choice, Empty, Section } from "../components/basics";
import { Chart, type Line } from "../components/chart";
import { Table } from "../components/table";
import { bytes, count, fixed, signed, words } from "../format";
import { nowMs } from "../live";
import { curves, figuresIn, happenings, mean, points } from "../prequential";
import { refine, route, windowMs } from "../route";
import { sourceColour } from "../theme";
import type { Announced, AuditEntry, ModelReport, Promoted } from "../types";

const PREFERRED = ["kept_ndcg@10", "ndcg@20", "log_loss"];
const MODEL_COLOURS = ["--series-0", "--series-7", "--series-1", "--series-3", "--series-2", "--series-5"];
const SERVED = "hit_rate@20";

type Reports = Report<ModelReport>[];

export function Learning() {
  const reports = useReports<ModelReport>("model", "/v1/reports/model", windowMs.value);
  return (
    <>
      <Answer asked={reports} empty="No model has reported in this window. Workers report as outcomes come.">
        {(found) => <Curves reports={found} />}
      </Answer>
      <Section title="Decisions" about="Who serves, since when, and who decided that.">
        <Decisions />
      </Section>
      <Section title="Versions of the embedding model">
        <Versions />
      </Section>
    </>
  );
}

function Curves({ reports }: { reports: Reports }) {
  const figures = figuresIn(reports);
  const asked = route.value.query.figure ?? "";
  const figure = [asked, ...PREFERRED, ...figures].find((each) => figures.includes(each)) ?? "";
  const ofFigure = figures.map((each) => [each, words(each)] as const);
  return (
    <>
      <Section
        title="Models, judged before they learn"
        about="Every list is scored by the champion and its challengers before anyone learns from it. Dashed lines are drifts and decisions."
        beside={
          <Choice
            label="Figure"
            value={figure}
            options={ofFigure}
            onChange={(value) => refine({ figure: value })}
          />
        }
        wide
      >
        <ByModel reports={reports} figure={figure} />
      </Section>
      <Section
        title="Hit rate at 20 by leading source"
        about="Of what was shown, by the source that counted most."
      >
        <BySource reports={reports} />
      </Section>
      <Section title="What happened" about="Drifts, promotions, resets and rollbacks.">
        <Happened reports={reports} />
      </Section>
    </>
  );
}

function ByModel({ reports, figure }: { reports: Reports; figure: string }) {
  const [fromMs, toMs] = [nowMs.value - windowMs.value, nowMs.value];
  const found = points(reports, figure, (report, segment) => (segment === null ? report.model : null));
  const { timesMs, byName } = curves(found, fromMs, toMs, 60);
  const lines = [...byName].map(([name, values], at): Line => ({
    name,
    values,
    colour: MODEL_COLOURS[at % MODEL_COLOURS.length] ?? "--ink",
  }));
  const marks = happenings(reports).map((each) => ({ time_ms: each.time_ms, name: each.kind }));
  return (
    <>
      <Chart
        label={`${words(figure)} by model`}
        timesMs={timesMs}
        lines={lines}
        format={(value) => fixed(value)}
        marks={marks}
        fromMs={fromMs}
        toMs={toMs}
      />
      <Contest reports={reports} figure={figure} found={found} names={[...byName.keys()]} />
    </>
  );
}

/** Means over the window, against what serves. */
function Contest(props: {
  reports: Reports;
  figure: string;
  found: ReturnType<typeof points>;
  names: string[];
}) {
  const serving = props.reports.findLast(({ value }) =>
    value.measurements.some((each) => each.metric === "hit_rate"),
  )?.value.model;
  const champion = serving ? mean(props.found, serving).value : null;
  return (
    <Table
      caption={`Mean ${words(props.figure)} in this window`}
      rows={props.names}
      keyOf={(name) => name}
      columns={[
        { head: "Model", cell: (name) => name },
        {
          head: "Role",
          cell: (name) => (name === serving ? <b class="tag pass">serves</b> : "challenger"),
          text: true,
        },
        { head: words(props.figure), cell: (name) => fixed(mean(props.found, name).value, 4) },
        {
          head: "against what serves",
          cell: (name) => {
            const { value } = mean(props.found, name);
            return name === serving || value === null || champion === null ? "" : signed(value - champion, 4);
          },
        },
        { head: "Lists", cell: (name) => count(mean(props.found, name).n) },
      ]}
    />
  );
}

function BySource({ reports }: { reports: Reports }) {
  const [fromMs, toMs] = [nowMs.value - windowMs.value, nowMs.value];
  const found = points(reports, SERVED, (_, segment) =>
    segment?.startsWith("source=") ? segment.slice(7) : null,
  );
  const { timesMs, byName } = curves(found, fromMs, toMs, 30);
  if (timesMs.length === 0) return <Empty>No slate was shown and answered yet.</Empty>;
  const lines = [...byName].map(([source, values]) => ({
    name: words(source),
    values,
    colour: sourceColour(source),
  }));
  return (
    <Chart
      label="Hit rate by source"
      timesMs={timesMs}
      lines={lines}
      format={(value) => fixed(value, 2)}
      fromMs={fromMs}
      toMs={toMs}
    />
  );
}

function Happened({ reports }: { reports: Reports }) {
  const found = happenings(reports).slice(0, 12);
  if (found.length === 0) return <Empty>Nothing in this window.</Empty>;
  return (
    <ol class="alerts">
      {found.map((each) => (
        <li key={`${each.time_ms} ${each.detail}`}>
          <b class="tag">{each.kind}</b>
          <span>{each.estimator}</span>
          <small>{each.detail}</small>
          <Ago timeMs={each.time_ms} />
        </li>
      ))}
    </ol>
  );
}

function Decisions() {
  const asked = useReports<AuditEntry>("audit", "/v1/audit", windowMs.value);
  return (
    <Answer asked={asked} empty="Nothing was decided in this window.">
      {(found) => (
        <ol class="alerts">
          {found
            .toReversed()
            .slice(0, 20)
            .map(({ value }) => (
              <li key={`${value.time_ms} ${value.subject}`}>
                <b class="tag">{value.action}</b>
                <span>{value.subject}</span>
                <small>
                  {value.detail}, by {value.actor}
                </small>
                <Ago timeMs={value.time_ms} />
              </li>
            ))}
        </ol>
      )}
    </Answer>
  );
}

function Versions() {
  const asked = useList<Announced | Promoted>("/v1/models", {}, 10_000);
  return (
    <Answer
      asked={asked}
      empty="No embedding model has been trained yet. A trainer does that, where one runs."
    >
      {(found) => <VersionTable found={found} />}
    </Answer>
  );
}

function VersionTable({ found }: { found: (Announced | Promoted)[] }) {
  const serving = new Set(found.filter((each) => each.kind === "promoted").map((each) => each.version));
  const announced = found
    .filter((each) => each.kind === "announced")
    .toSorted((a, b) => b.created_ms - a.created_ms);
  return (
    <Table
      caption="Versions of the embedding model"
      rows={announced.slice(0, 20)}
      keyOf={(each) => `${each.model} ${each.version}`}
      columns={[
        { head: "Version", cell: (each) => each.version },
        {
          head: "State",
          cell: (each) => (serving.has(each.version) ? <b class="tag pass">serves</b> : ""),
          text: true,
        },
        { head: "Made", cell: (each) => <Ago timeMs={each.created_ms} /> },
        { head: "Size", cell: (each) => bytes(each.size_bytes) },
        {
          head: "Figures",
          cell: (each) =>
            Object.entries(each.metrics ?? {})
              .map(([name, value]) => `${words(name)} ${fixed(value)}`)
              .join(", "),
          text: true,
        },
      ]}
    />
  );
}
