// The map: segments, spans and blocks of each pool to scale, by address. Canvases, because a heap may have a million blocks.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { CLIENTS, colours } from "./data.js";
import { count, duration, percent, place, size } from "./format.js";

const ROW = 16;
const GAP = 5;
/** Rows of all maps together at the first scale, and pools that are drawn. */
const ROWS = 18;
const POOLS = 6;

/** A pool's memory as pieces {at, bytes, address, ...}, where `at` counts the bytes of the segments before. */
function piecesOf(pool, data) {
  const pieces = [];
  const byAddress = new Map();
  for (const item of data.items) if (item.type === "store" && item.poolId === pool.id) byAddress.set(item.store.address, item);
  const placed = new Set();
  let at = 0;
  for (const segment of pool.segments) {
    const base = BigInt(segment.address);
    let offset = 0;
    for (const run of segment.map) {
      const address = `0x${(base + BigInt(offset)).toString(16)}`;
      const item = byAddress.get(address);
      const piece = { at, bytes: run.bytes, address, run, cells: null, item: run.blocks === 1 ? item : undefined, segment };
      if (run.cells) piece.cells = cellsOf(run);
      pieces.push(piece);
      if (piece.item) placed.add(address);
      at += run.bytes;
      offset += run.bytes;
    }
  }
  // Arrays among other blocks: drawn over the run that contains them.
  const overlays = [];
  const starts = pool.segments.map((s) => BigInt(s.address));
  let before = 0;
  pool.segments.forEach((segment, i) => {
    for (const [address, item] of byAddress) {
      if (placed.has(address)) continue;
      const offset = Number(BigInt(address) - starts[i]);
      if (offset < 0 || offset >= segment.bytes) continue;
      overlays.push({ at: before + offset, bytes: item.bytes, address, item, segment });
    }
    before += segment.bytes;
  });
  overlays.sort((a, b) => a.at - b.at);
  return { pieces, overlays, bytes: at };
}

/** The text `cells` as [client or null, blocks]. */
function cellsOf(run) {
  return [...run.cells.matchAll(/([.a-z])(\d*)/g)].map(([, letter, n]) => [
    letter === "." ? null : CLIENTS[letter.charCodeAt(0) - 97],
    n ? Number(n) : 1,
  ]);
}

/** Calls draw(x, y, width) for each row that the bytes [at, at + bytes) touch. */
function eachRow(at, bytes, perRow, width, draw) {
  const end = at + bytes;
  for (let row = Math.floor(at / perRow); row * perRow < end; row += 1) {
    const from = Math.max(at, row * perRow) - row * perRow;
    const to = Math.min(end, (row + 1) * perRow) - row * perRow;
    draw((from / perRow) * width, row * (ROW + GAP), ((to - from) / perRow) * width);
  }
}

function dominant(clients) {
  return Object.entries(clients ?? {}).reduce((best, next) => (next[1] > best[1] ? next : best), ["raw", 0])[0];
}

function draw(canvas, map, view, perRow, colour, raw, by, chosen, marked) {
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  const ratio = devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const g = canvas.getContext("2d");
  g.scale(ratio, ratio);
  const rect = (at, bytes, fill, part = 1) => {
    if (at + bytes <= view.from || at >= view.from + view.bytes) return;
    g.fillStyle = fill;
    const from = Math.max(at, view.from);
    const to = Math.min(at + bytes, view.from + view.bytes);
    eachRow(from - view.from, to - from, perRow, width, (x, y, w) => {
      const h = Math.max(1, ROW * part);
      // Whole pixels of the screen: fractions would leave seams between neighbours.
      const left = Math.round(x * ratio);
      const right = Math.max(left + 1, Math.round((x + w) * ratio));
      g.fillRect(left / ratio, y + ROW - h, (right - left) / ratio, h);
    });
  };
  const ofClient = (client) => (by === "client" ? colour.client(client) : by === "name" ? (raw.get(client) ?? colour.grey) : colour.grey);
  for (const piece of map.pieces) {
    const { run } = piece;
    rect(piece.at, piece.bytes, colour.free);
    if (!run.live) continue;
    if (piece.item) rect(piece.at, piece.bytes, colour.item(piece.item));
    else if (piece.cells) {
      let at = piece.at;
      for (const [client, n] of piece.cells) {
        if (client) rect(at, n * run.block_bytes, ofClient(client));
        at += n * run.block_bytes;
      }
    } else {
      const live = Object.values(run.clients).reduce((a, b) => a + b, 0);
      rect(piece.at, piece.bytes, ofClient(dominant(run.clients)), Math.min(1, live / piece.bytes));
    }
  }
  for (const o of map.overlays) rect(o.at, o.bytes, colour.item(o.item));
  g.fillStyle = colour.edge;
  // A line between large blocks of one colour.
  for (const piece of [...map.pieces, ...map.overlays]) {
    if ((piece.item || piece.run.blocks === 1) && piece.at > view.from && piece.bytes > (4 * perRow) / width && piece.at < view.from + view.bytes) {
      eachRow(piece.at - view.from, 1, perRow, width, (x, y) => x > 1 && g.fillRect(x - 0.5, y, 1, ROW));
    }
  }
  // Segments end where addresses have a gap.
  let at = 0;
  for (const segment of map.segments) {
    if (at > view.from && at < view.from + view.bytes) {
      eachRow(at - view.from, 1, perRow, width, (x, y) => g.fillRect(x - 1, y - 1, 1.5, ROW + 2));
    }
    at += segment.bytes;
  }
  // The chosen and the marked piece are underlined: a frame would hide small ones.
  const underline = (piece, fill) => {
    g.fillStyle = fill;
    const from = Math.max(piece.at, view.from);
    const to = Math.min(piece.at + piece.bytes, view.from + view.bytes);
    if (to > from) eachRow(from - view.from, to - from, perRow, width, (x, y, w) => g.fillRect(x, y + ROW + 1, Math.max(w, 4), 2));
  };
  const own = [...map.pieces, ...map.overlays].find((p) => p.item?.key === chosen);
  if (own) underline(own, colour.text);
  if (marked) underline(marked, colour.accent);
}

/** A piece in words. */
function words(piece, data) {
  if (piece.item) {
    const { item } = piece;
    const age = item.age === null ? "" : `, ${duration(item.age)} old`;
    return `${item.label}: ${size(item.bytes)}${item.shape ? `, ${item.shape}` : ""}, ${item.holders}${age}`;
  }
  const { run } = piece;
  if (!run.blocks) return `free: ${size(run.bytes)}`;
  const who = Object.keys(run.clients).join(", ");
  const spans = run.spans > 1 ? ` in ${count(run.spans, "span")}` : "";
  if (run.blocks === 1 && run.live === 1) {
    return `${who}: one block of ${size(run.block_bytes)}${run.site ? `, made at ${place(run.site)}` : ""}`;
  }
  const blocks = run.block_bytes ? `blocks of ${size(run.block_bytes)}` : "blocks of several sizes";
  return `${who || "free"}: ${run.live.toLocaleString("en-US")} of ${run.blocks.toLocaleString("en-US")} ${blocks}${spans}, ${percent(run.live, run.blocks)} live`;
}

function PoolMap({ hint, pool, map, perRow, by, data, chosen, choose, appearance }) {
  const canvas = useRef(null);
  const [view, setView] = useState({ from: 0, bytes: map.bytes });
  const [marked, setMarked] = useState(null);
  const [hovered, setHovered] = useState(null);
  const rows = Math.max(1, Math.ceil(map.bytes / perRow));
  const scale = view.bytes < map.bytes ? view.bytes / rows : perRow;
  const all = useMemo(() => [...map.pieces, ...map.overlays].sort((a, b) => a.at - b.at || b.bytes - a.bytes), [map]);
  const colour = useMemo(() => {
    const css = getComputedStyle(document.documentElement);
    return {
      ...colours(data, by),
      edge: css.getPropertyValue("--page").trim(),
      text: css.getPropertyValue("--text").trim(),
      accent: css.getPropertyValue("--c1").trim(),
    };
  }, [data, by, appearance]);
  // By name, blocks of one client have the colour of its largest group.
  const raw = useMemo(() => {
    const groups = new Map();
    for (const item of data.items) {
      const client = item.type === "group" ? item.client : null;
      if (client && !groups.has(client)) groups.set(client, colour.item(item));
    }
    return groups;
  }, [data, colour]);
  useEffect(() => draw(canvas.current, map, view, scale, colour, raw, by, chosen, marked), [
    map, view, scale, colour, raw, by, chosen, marked, appearance,
  ]);
  const find = (event) => {
    const box = canvas.current.getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top) / (ROW + GAP));
    const at = view.from + (row + (event.clientX - box.left) / box.width) * scale;
    return (
      map.overlays.find((p) => at >= p.at && at < p.at + p.bytes) ?? map.pieces.find((p) => at >= p.at && at < p.at + p.bytes) ?? null
    );
  };
  const zoom = (factor) => {
    const bytes = Math.min(map.bytes, Math.max(4096, view.bytes * factor));
    const middle = marked ? marked.at + Math.min(marked.bytes, view.bytes) / 2 : view.from + view.bytes / 2;
    setView({ bytes, from: Math.min(map.bytes - bytes, Math.max(0, middle - bytes / 2)) });
  };
  const mark = (piece) => {
    setMarked(piece);
    if (piece.at < view.from || piece.at >= view.from + view.bytes) {
      setView({ ...view, from: Math.min(map.bytes - view.bytes, Math.max(0, piece.at - view.bytes / 2)) });
    }
  };
  const keys = (event) => {
    const at = marked ? all.indexOf(marked) : -1;
    const moves = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    if (event.key in moves) {
      const next = all[Math.min(all.length - 1, Math.max(0, at + moves[event.key]))];
      if (next) mark(next);
    } else if (event.key === "Enter" && marked?.item) choose(marked.item.key, true);
    else if (event.key === "+" || event.key === "=") zoom(0.25);
    else if (event.key === "-") zoom(4);
    else if (event.key === "Escape") {
      setMarked(null);
      setView({ from: 0, bytes: map.bytes });
    } else return;
    event.preventDefault();
  };
  const told = hovered ?? marked;
  const s = pool.stats;
  return (
    <figure class="poolmap">
      <figcaption>
        <span>
          <b>{pool.name}</b>{" "}
          <span class="quiet">
            {pool.device} · {size(map.bytes)} in {count(pool.segments.length, "segment")}, {percent(s.in_use_bytes, map.bytes)} in use
          </span>
        </span>
        <span class="zoom">
          <button aria-label={`Zoom out of ${pool.name}`} disabled={view.bytes >= map.bytes} onClick={() => zoom(4)}>
            −
          </button>
          <button aria-label={`Zoom into ${pool.name}`} onClick={() => zoom(0.25)}>
            +
          </button>
        </span>
      </figcaption>
      <canvas
        ref={canvas}
        tabIndex={0}
        role="application"
        aria-label={`Map of pool ${pool.name}. Arrow keys go from block to block, Enter chooses an array, plus and minus zoom.`}
        style={{ height: `${rows * (ROW + GAP)}px` }}
        onMouseMove={(e) => setHovered(find(e))}
        onMouseLeave={() => setHovered(null)}
        onClick={(e) => {
          const piece = find(e);
          if (!piece) return;
          setMarked(piece);
          if (piece.item) choose(piece.item.key);
        }}
        onKeyDown={keys}
      />
      <p class="told" aria-live="polite">
        {told ? (
          <>
            <code>{told.address}</code> {words(told, data)}
          </>
        ) : (
          hint && <span class="quiet">Point at the map, or use the arrow keys.</span>
        )}
      </p>
    </figure>
  );
}

/** What the colours mean. */
function Legend({ data, by, appearance }) {
  const colour = useMemo(() => colours(data, by), [data, by, appearance]);
  const entries = [];
  if (by === "client") {
    const used = new Set(data.snapshot.pools.flatMap((p) => p.clients.filter((c) => c.live_bytes).map((c) => c.name)));
    for (const client of CLIENTS) if (used.has(client)) entries.push([colour.client(client), client]);
  } else if (by === "age") {
    if (data.ages.length) {
      const { ramp } = colour;
      ramp.forEach((c, i) => {
        const text = i === 0 ? `newest, ${duration(data.ages[0])}` : i === ramp.length - 1 ? `oldest, ${duration(data.ages.at(-1))}` : "";
        entries.push([c, text]);
      });
    }
    entries.push([colour.grey, "age not kept: raw blocks, arrays below 64 KiB"]);
  } else {
    const seen = new Set();
    for (const item of data.items) {
      if (seen.size >= 8) break;
      if (seen.has(item.label)) continue;
      seen.add(item.label);
      entries.push([colour.item(item), item.label]);
    }
  }
  return (
    <ul class="legend">
      {entries.map(([c, text], i) => (
        <li key={i}>
          <i style={{ background: c }} />
          {text}
        </li>
      ))}
      <li>
        <i class="free" />
        free
      </li>
    </ul>
  );
}

const MODES = ["name", "client", "age"];

export function MemoryMap({ data, chosen, choose, appearance }) {
  const [by, setBy] = useState("name");
  const maps = useMemo(
    () =>
      data.snapshot.pools
        .filter((p) => p.segments.length)
        .map((pool) => ({ pool, map: { ...piecesOf(pool, data), segments: pool.segments } }))
        .sort((a, b) => b.map.bytes - a.map.bytes),
    [data],
  );
  const drawn = maps.slice(0, POOLS);
  const whole = drawn.reduce((all, m) => all + m.map.bytes, 0);
  const perRow = Math.max(4096, whole / ROWS);
  const unmapped = data.snapshot.pools.filter((p) => !p.segments.length && p.stats.reserved_bytes);
  return (
    <>
      <div class="tools">
        <div class="choice" role="radiogroup" aria-label="Colour by">
          <span class="quiet">Colour by</span>
          {MODES.map((mode) => (
            <label key={mode}>
              <input type="radio" name="by" checked={by === mode} onChange={() => setBy(mode)} />
              <span>{mode}</span>
            </label>
          ))}
        </div>
        <Legend data={data} by={by} appearance={appearance} />
      </div>
      {drawn.map(({ pool, map }, n) => (
        <PoolMap key={pool.id} {...{ hint: n === 0, pool, map, perRow, by, data, chosen, choose, appearance }} />
      ))}
      {!drawn.length && <p class="quiet">No pool has memory of its own now.</p>}
      <p class="quiet">
        {drawn.length > 0 && `One row is ${size(perRow)}. A part that is filled to half its height is half in use. `}
        {maps.length > drawn.length && `${count(maps.length - drawn.length, "smaller pool is", "smaller pools are")} not drawn. `}
        {unmapped.length > 0 && `${unmapped.map((p) => p.name).join(", ")}: only the driver knows how this memory lies. `}
        {data.outside > 0 && `${size(data.outside)} of imports and files lie outside of pools.`}
      </p>
    </>
  );
}
