import { useAsk } from "../ask";
import { Ago, Answer, Empty, Section, Tile } from "../components/basics";
import { Chart } from "../components/chart";
import { Table } from "../components/table";
import { figures, readings, useFigures } from "../figures";
import { bytes, count, percent, seconds, words } from "../format";
import { nowMs } from "../live";
import { windowMs } from "../route";
import { buckets, byLabel, quantile, select, total } from "../samples";
import type { Figures, Sample, System, WorkerFigures } from "../types";

/** Whether it runs well: workers, partitions, the API itself. */
export function Operations() {
  useFigures();
  const system = useAsk<System>("/v1/system", {}, 3000);
  const told = figures.value;
  return (
    <>
      <Section title="Workers" wide>
        <Answer asked={system} empty="">
          {(known) => <Workers system={known} told={told} />}
        </Answer>
      </Section>
      <Section title="The API" wide>
        <Answer asked={system}>{(known) => <Api system={known} own={told?.api ?? []} />}</Answer>
      </Section>
      <Section title="Lag" about="Records that are there and not yet taken, over all partitions.">
        <LagChart />
      </Section>
      <Section
        title="Where the time goes"
        about="Share of the workers' time by stage of the path, since they started."
      >
        {told ? (
          <Stages samples={told.workers.flatMap((each) => each.samples)} />
        ) : (
          <Empty>No worker tells.</Empty>
        )}
      </Section>
      <Section title="Partitions" about="Lag, and the offset up to which everything is done, by partition.">
        {told ? <Partitions told={told} /> : <Empty>No worker tells.</Empty>}
      </Section>
      <Section title="Read model" about="How far the API is on each topic.">
        <Answer asked={system}>{(known) => <ReadModel system={known} />}</Answer>
      </Section>
    </>
  );
}

function Workers({ system, told }: { system: System; told: Figures | null }) {
  if (system.workers.length === 0) return <Empty>The API knows of no worker.</Empty>;
  return (
    <>
      {system.workers.map((worker) => (
        <section key={worker.address} class="worker" aria-label={worker.address}>
          <h3>
            <b class={`tag ${worker.ready ? "pass" : "fail"}`}>{worker.ready ? "ready" : "not ready"}</b>{" "}
            {worker.address}
          </h3>
          {worker.missing.length > 0 && <p class="stale">Waits for {worker.missing.join(", ")}</p>}
          <WorkerTiles told={told?.workers.find((each) => each.address === worker.address)} />
        </section>
      ))}
    </>
  );
}

function WorkerTiles({ told }: { told: WorkerFigures | undefined }) {
  if (!told || told.samples.length === 0) return <Empty>It does not answer.</Empty>;
  const { samples } = told;
  const of = (name: string) => total(samples, name);
  const started = of("process_start_time_seconds");
  const [free, size] = [of("rillet_state_disk_free_bytes"), of("rillet_state_disk_size_bytes")];
  const lost = of("rillet_lost_records_total") ?? 0;
  return (
    <dl class="tiles">
      <Tile name="Running for" value={seconds(started === null ? null : nowMs.value / 1000 - started)} />
      <Tile
        name="Recovery"
        value={of("rillet_recovering") ? "under way" : "done"}
        {...(of("rillet_recovering") ? { state: "warn" } : {})}
      />
      <Tile
        name="Memory"
        value={bytes(of("process_resident_memory_bytes"))}
        note={`of ${bytes(of("rillet_memory_limit_bytes"))}`}
      />
      <Tile
        name="State on disk"
        value={bytes(of("rillet_table_bytes"))}
        note={`${percent(free && size ? free / size : null, 0)} free`}
      />
      <Tile name="Waiting to be sent" value={count(of("rillet_outbox_records"))} note="records" />
      <Tile name="Lost to retention" value={count(lost)} note="records" {...(lost ? { state: "bad" } : {})} />
      <Tile name="Items known" value={count(of("rillet_items"))} />
    </dl>
  );
}

function LagChart() {
  const shown = readings.value.filter(
    (each) => each.time_ms > nowMs.value - windowMs.value && each.lag !== null,
  );
  if (shown.length < 2) return <Empty>Lag is drawn from the moment on that this page is open.</Empty>;
  const lines = [{ name: "records", colour: "--series-0", values: shown.map((each) => each.lag) }];
  return (
    <Chart
      label="Lag"
      timesMs={shown.map((each) => each.time_ms)}
      lines={lines}
      format={count}
      toMs={nowMs.value}
    />
  );
}

function Stages({ samples }: { samples: readonly Sample[] }) {
  const stages = [...byLabel(samples, "rillet_stage_seconds_total", "stage")].sort(([, a], [, b]) => b - a);
  const all = stages.reduce((sum, [, spent]) => sum + spent, 0);
  const most = stages[0]?.[1] ?? 1;
  return (
    <ol class="ranked">
      {stages.slice(0, 12).map(([stage, spent]) => (
        <li key={stage}>
          <span class="item">{words(stage)}</span>
          <i class="bar" style={{ width: `${(100 * spent) / most}%` }} aria-hidden="true" />
          <small>{percent(spent / all)}</small>
        </li>
      ))}
    </ol>
  );
}

interface Partition {
  topic: string;
  partition: string;
  lag: number;
  committed: number | null;
  worker: string;
}

function Partitions({ told }: { told: Figures }) {
  const rows = told.workers.flatMap(({ address, samples }) =>
    select(samples, "rillet_lag_records").map((each): Partition => {
      const { topic = "", partition = "" } = each.labels;
      const committed = total(samples, "rillet_committed_offset", { topic, partition });
      return { topic, partition, lag: each.value, committed, worker: new URL(address).host };
    }),
  );
  if (rows.length === 0) return <Empty>No worker has a partition.</Empty>;
  return (
    <Table
      caption="Partitions"
      rows={rows.toSorted(
        (a, b) => a.topic.localeCompare(b.topic) || Number(a.partition) - Number(b.partition),
      )}
      keyOf={(each) => `${each.worker} ${each.topic} ${each.partition}`}
      columns={[
        { head: "Topic", cell: (each) => each.topic },
        { head: "Partition", cell: (each) => each.partition },
        { head: "Lag", cell: (each) => count(each.lag) },
        { head: "Committed", cell: (each) => each.committed },
        { head: "Worker", cell: (each) => each.worker, text: true },
      ]}
    />
  );
}

function Api({ system, own }: { system: System; own: readonly Sample[] }) {
  const errors = select(own, "rillet_api_requests_total").filter(
    (each) => (each.labels.status ?? "") >= "500",
  );
  const times = buckets(own, "rillet_api_request_seconds_bucket");
  const visible = buckets(own, "rillet_api_visible_seconds_bucket");
  const failed = errors.reduce((sum, each) => sum + each.value, 0);
  return (
    <dl class="tiles">
      <Tile name="Version" value={system.version} />
      <Tile name="Running for" value={seconds(system.uptime_s)} />
      <Tile
        name="Read model"
        value={system.caught_up ? "caught up" : "catching up"}
        note={bytes(system.size_bytes)}
      />
      <Tile
        name="Requests"
        value={count(total(own, "rillet_api_requests_total"))}
        note={`${count(failed)} failed`}
        {...(failed ? { state: "warn" } : {})}
      />
      <Tile name="Answered, p99" value={seconds(quantile(0.99, times))} />
      <Tile name="Record to readable, p99" value={seconds(quantile(0.99, visible))} />
      <Tile name="Open streams" value={count(system.n_streams)} />
      <Tile name="Memory" value={bytes(total(own, "process_resident_memory_bytes"))} />
    </dl>
  );
}

function ReadModel({ system }: { system: System }) {
  return (
    <Table
      caption="Topics of the read model"
      rows={system.topics}
      keyOf={(each) => each.topic}
      columns={[
        { head: "Topic", cell: (each) => each.topic },
        {
          head: "Records",
          cell: (each) => count(Object.values(each.offsets).reduce((sum, offset) => sum + offset, 0)),
        },
        {
          head: "Newest",
          cell: (each) => (each.newest_ms === null ? "none" : <Ago timeMs={each.newest_ms} />),
        },
      ]}
    />
  );
}
