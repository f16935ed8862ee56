// Pools: fragmentation, peaks, limits, misuse, clients and size classes.

import { count, number, percent, size } from "./format.js";
import { PoolBar } from "./overview.jsx";

/** The part of the cached memory that a request as large as all of it could not have. */
function fragmentation(s) {
  return s.cached_bytes && s.largest_free_bytes ? 1 - Math.min(1, s.largest_free_bytes / s.cached_bytes) : 0;
}

function Figures({ pool }) {
  const s = pool.stats;
  const figures = [
    ["in use", size(s.in_use_bytes), `${size(s.requested_bytes)} asked for`],
    ["peak", size(s.peak_in_use_bytes), `${size(s.peak_reserved_bytes)} from the system`],
    ["limit", s.limit_bytes ? size(s.limit_bytes) : "none", s.limit_bytes ? `${percent(s.reserved_bytes - (s.spilled_bytes ?? 0), s.limit_bytes)} in memory` : ""],
    ["cached", size(s.cached_bytes), `largest piece ${size(s.largest_free_bytes)}`],
    ["fragmentation", percent(fragmentation(s), 1), `${size(s.overhead_bytes)} lost in spans`],
    ["requests", number(s.allocation_count), `${percent(s.hit_count, s.allocation_count)} without the system`],
    ["failed", number(s.failure_count), s.oom_count ? `${count(s.oom_count, "time")} out of memory` : ""],
    ["misuse", number(s.misuse_count), s.misuse_count ? "wrong pointers, refused" : ""],
  ];
  if (s.spilled_bytes) figures.push(["spilled", size(s.spilled_bytes), `${count(s.spill_count, "array")} written to files, ${number(s.unspill_count)} read back`]);
  if (s.pending_bytes) figures.push(["pending", size(s.pending_bytes), "freed, still used by a device"]);
  return (
    <dl class="figures">
      {figures.map(([what, value, note]) => (
        <div key={what} class={(what === "misuse" || what === "failed") && value !== "0" ? "bad" : ""}>
          <dt>{what}</dt>
          <dd>
            {value}
            <small>{note}</small>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Table({ head, rows }) {
  return (
    <div class="wide">
      <table>
        <thead>
          <tr>
            {head.map((text, i) => (
              <th key={text} class={i ? "num" : ""}>
                {text}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row[0]}>
              {row.map((text, i) => (
                <td key={i} class={i ? "num" : ""}>
                  {text}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Pool({ pool }) {
  const clients = [...pool.clients].sort((a, b) => b.live_bytes - a.live_bytes);
  const marks = [pool.device, ...pool.memory, pool.released && "released"].filter(Boolean);
  return (
    <article class="poolcard">
      <h3>
        {pool.name} <span class="quiet">{marks.join(", ")}</span>
      </h3>
      <PoolBar pool={pool} />
      <Figures pool={pool} />
      <Table
        head={["Client", "Bytes", "Blocks", "Peak", "Requests", "Refused frees"]}
        rows={clients.map((c) => [
          c.name, size(c.live_bytes), number(c.live_blocks), size(c.peak_bytes), number(c.allocation_count), number(c.misuse_count),
        ])}
      />
      {pool.classes.length > 0 && (
        <details>
          <summary>{count(pool.classes.length, "size of blocks", "sizes of blocks")}</summary>
          <Table
            head={["Block", "Live", "Cached", "Spans", "Requests"]}
            rows={pool.classes.map((c) => [
              c.block_bytes ? size(c.block_bytes) : "large", number(c.live_blocks), number(c.cached_blocks), number(c.span_count), number(c.allocation_count),
            ])}
          />
        </details>
      )}
    </article>
  );
}

export function Pools({ data }) {
  const pools = [...data.pools.values()].sort((a, b) => b.stats.reserved_bytes - a.stats.reserved_bytes);
  const [open, more] = [pools.slice(0, 8), pools.slice(8)];
  return (
    <>
      <div class="pools">
        {open.map((p) => (
          <Pool key={p.id} pool={p} />
        ))}
      </div>
      {more.length > 0 && (
        <details>
          <summary>{count(more.length, "smaller pool")}</summary>
          <Table
            head={["Pool", "Device", "In use", "Peak", "Cached", "Limit", "Misuse"]}
            rows={more.slice(0, 500).map((p) => [
              `${p.name} (${p.id})`, p.device, size(p.stats.in_use_bytes), size(p.stats.peak_in_use_bytes), size(p.stats.cached_bytes),
              p.stats.limit_bytes ? size(p.stats.limit_bytes) : "none", number(p.stats.misuse_count),
            ])}
          />
        </details>
      )}
    </>
  );
}
