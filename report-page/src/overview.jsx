// The first screen: how much is in use, what holds most of it, and what is worth a look.

import { useMemo } from "preact/hooks";
import { colours, findings } from "./data.js";
import { count, percent, place, size } from "./format.js";

const LISTED = 8;

/** The answer in one sentence. */
function Answer({ data, choose }) {
  const [first] = data.items;
  if (!first || !data.held) return <p class="answer">No array and no block is held.</p>;
  const share = percent(first.bytes, data.held);
  return (
    <p class="answer">
      {share} of it, {size(first.bytes)}, is held by{" "}
      <button class="link" onClick={() => choose(first.key, true)}>
        {first.label}
      </button>
      {first.site && first.name && (
        <>
          {", made at "}
          <code title={first.site}>{place(first.site)}</code>
        </>
      )}
      {first.type === "store" && first.n > 1 && `: ${first.holders}`}.
    </p>
  );
}

function Share({ data, colour, choose }) {
  const listed = data.items.slice(0, LISTED);
  const rest = Math.max(0, data.held - listed.reduce((all, i) => all + i.bytes, 0));
  const free = Math.max(0, data.reserved - data.inUse);
  const whole = data.held + free;
  const width = (bytes) => ({ width: `${(100 * bytes) / whole}%` });
  if (!whole) return null;
  return (
    <div class="share" role="img" aria-label={`${size(data.held)} held of ${size(whole)}; the list below has the parts`}>
      {listed.map((i) => (
        <span
          key={i.key}
          style={{ ...width(i.bytes), background: colour.item(i) }}
          title={`${i.label}: ${size(i.bytes)}`}
          onClick={() => choose(i.key, true)}
        />
      ))}
      {rest > 0 && <span style={{ ...width(rest), background: colour.grey }} title={`all others, and rounding: ${size(rest)}`} />}
      {free > 0 && <span class="free" style={width(free)} title={`not in use, kept by pools: ${size(free)}`} />}
    </div>
  );
}

function Holders({ data, colour, chosen, choose }) {
  const listed = data.items.slice(0, LISTED);
  const more = data.items.slice(LISTED);
  return (
    <ol class="holders">
      {listed.map((i) => (
        <li key={i.key}>
          <button class={i.key === chosen ? "row chosen" : "row"} onClick={() => choose(i.key, true)}>
            <i style={{ background: colour.item(i) }} />
            <span class="what">
              <b>{i.label}</b>
              <small title={i.site}>
                {i.name && i.site ? `${place(i.site)} · ` : ""}
                {i.holders}
              </small>
            </span>
            <span class="bytes">
              {size(i.bytes)}
              <small>{percent(i.bytes, data.held)}</small>
            </span>
          </button>
        </li>
      ))}
      {more.length > 0 && (
        <li class="rest">
          <a href="#arrays">
            <i style={{ background: colour.grey }} />
            <span class="what">{more.length === 1 ? more[0].label : count(more.length, "more entry", "more entries")}</span>
            <span class="bytes">{size(more.reduce((all, i) => all + i.bytes, 0))}</span>
          </a>
        </li>
      )}
      {data.rounding > data.held / 100 && (
        <li class="rest">
          <a href="#pools">
            <i style={{ background: colour.grey }} />
            <span class="what">requests rounded up to sizes of blocks</span>
            <span class="bytes">{size(data.rounding)}</span>
          </a>
        </li>
      )}
    </ol>
  );
}

/** A pool's memory as one bar, up to its limit if it has one. */
export function PoolBar({ pool, scale }) {
  const s = pool.stats;
  const whole = Math.max(scale ?? 0, s.limit_bytes, s.reserved_bytes, s.peak_in_use_bytes, 1);
  const width = (bytes) => ({ width: `${(100 * bytes) / whole}%` });
  return (
    <div class="poolbar" aria-hidden="true">
      <span class="used" style={width(s.in_use_bytes)} title={`in use: ${size(s.in_use_bytes)}`} />
      <span class="pending" style={width(s.pending_bytes)} title={`freed, still used by a device: ${size(s.pending_bytes)}`} />
      <span class="cached" style={width(s.cached_bytes)} title={`cached: ${size(s.cached_bytes)}`} />
      <em style={{ left: `${(100 * s.peak_in_use_bytes) / whole}%` }} title={`peak: ${size(s.peak_in_use_bytes)}`} />
    </div>
  );
}

function PoolList({ data }) {
  const pools = [...data.pools.values()].sort((a, b) => b.stats.reserved_bytes - a.stats.reserved_bytes);
  const listed = pools.slice(0, 4);
  return (
    <ul class="poollist">
      {listed.map((p) => (
        <li key={p.id}>
          <div>
            <b>{p.name}</b> <span class="quiet">{p.device}</span>
            <span class="bytes">{size(p.stats.in_use_bytes)}</span>
          </div>
          <PoolBar pool={p} />
          <small>
            peak {size(p.stats.peak_in_use_bytes)} · {size(p.stats.cached_bytes)} cached
            {p.stats.limit_bytes > 0 && ` · limit ${size(p.stats.limit_bytes)}`}
            {p.released && " · released"}
          </small>
        </li>
      ))}
      {pools.length > listed.length && (
        <li>
          <a href="#pools">{count(pools.length - listed.length, "more pool")}</a>
        </li>
      )}
      {data.outside > 0 && (
        <li>
          <div>
            <b>outside of pools</b> <span class="quiet">imports, files</span>
            <span class="bytes">{size(data.outside)}</span>
          </div>
        </li>
      )}
    </ul>
  );
}

export function Overview({ data, chosen, choose, appearance }) {
  const colour = useMemo(() => colours(data, "name"), [data, appearance]);
  const found = findings(data);
  const devices = [...new Set([...data.pools.values()].map((p) => p.device))];
  return (
    <>
      <h1 id="overview-title">
        {size(data.held)} in use{" "}
        <span class="quiet">
          in {count(data.pools.size, "pool")}
          {devices.length > 0 && ` on ${devices.join(", ")}`}
        </span>
      </h1>
      <Answer data={data} choose={choose} />
      <Share data={data} colour={colour} choose={choose} />
      <div class="columns">
        <div>
          <h3>Largest holders</h3>
          <Holders data={data} colour={colour} chosen={chosen} choose={choose} />
        </div>
        <div>
          <h3>Worth a look</h3>
          {found.length ? (
            <ul class="findings">
              {found.slice(0, 6).map((f) => (
                <li key={f.text} class={`level${f.level}`}>
                  <a href={`#${f.target}`}>{f.text}</a>
                </li>
              ))}
            </ul>
          ) : (
            <p class="quiet">No misuse, no failed request, no forced copy.</p>
          )}
          <h3>Pools</h3>
          <PoolList data={data} />
        </div>
      </div>
    </>
  );
}
