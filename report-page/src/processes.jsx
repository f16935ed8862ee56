// Memory that this process shares with others: theirs that it has mapped, and its own that waits for them.

import { count, list, size } from "./format.js";

/** Whether there is any. */
export const isShared = (snapshot) => snapshot.shared_in.length > 0 || snapshot.shared_out.length > 0;

const process = (id) => `process ${id}`;
const MOST_NAMES = 3;

/** The names of the arrays of this process that lie in a mapping. */
function namesIn({ address, bytes }, stores) {
  const start = BigInt(address);
  const end = start + BigInt(bytes);
  const inside = stores.filter((s) => BigInt(s.address) >= start && BigInt(s.address) < end);
  const names = new Set(inside.flatMap((s) => s.holders.map((h) => h.name)).filter(Boolean));
  return [...names];
}

function shortened(names) {
  const more = names.length - MOST_NAMES;
  return more > 0 ? list([...names.slice(0, MOST_NAMES), count(more, "more name")]) : list(names);
}

/** "process 12 and process 13"; the number 0 stands for a message that nobody has received yet. */
function importers(ids) {
  const known = ids.filter((id) => id > 0).map(process);
  return list(known.length < ids.length ? [...known, "a message on its way"] : known) || "none any more";
}

const running = (state) => (state === null ? "unknown" : state ? "running" : "ended");

function Table({ head, rows }) {
  return (
    <div class="wide">
      <table>
        <thead>
          <tr>
            <th class="num">Bytes</th>
            {head.map((text) => (
              <th key={text}>{text}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([bytes, ...texts], i) => (
            <tr key={i}>
              <td class="num">{size(bytes)}</td>
              {texts.map((text, column) => (
                <td key={column}>{text}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const largestFirst = (rows) => rows.sort(([a], [b]) => b - a);
const total = (entries) => size(entries.reduce((sum, e) => sum + e.bytes, 0));

export function Processes({ data }) {
  const { shared_in: mapped, shared_out: kept, stores } = data.snapshot;
  return (
    <>
      {mapped.length > 0 && (
        <>
          <p>{total(mapped)} of other processes are mapped here. They stay when their process ends.</p>
          <Table
            head={["Process", "State", "Access", "Arrays"]}
            rows={largestFirst(
              mapped.map((m) => [
                m.bytes,
                process(m.process),
                running(m.running),
                m.writable ? "reads and writes" : "reads",
                shortened(namesIn(m, stores)),
              ]),
            )}
          />
        </>
      )}
      {kept.length > 0 && (
        <>
          <p>{total(kept)} were freed here, and are kept because other processes have them open.</p>
          <Table
            head={["Array", "Device", "Pool", "Open in"]}
            rows={largestFirst(
              kept.map((k) => [k.bytes, k.name, k.device, data.pools.get(k.pool)?.name ?? "released", importers(k.importers)]),
            )}
          />
        </>
      )}
    </>
  );
}
