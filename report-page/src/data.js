// The snapshot, with what the page asks of it: items (stores and raw blocks), names, colours, findings. docs/report.schema.json is its schema.

import { count, duration, library, list, percent, place, size } from "./format.js";

/** The clients in the order of their letters in `cells`. */
export const CLIENTS = [
  "arrays", "raw", "numpy", "torch", "cupy", "numba", "rmm", "umf", "cpp", "rust", "malloc", "other",
];

/** Texts for the kinds of holders. */
export const KINDS = {
  handle: "array",
  promise: "promise",
  expression: "lazy expression",
  shared_variable: "shared variable",
  export_read: "export, read-only",
  export_shared: "export, shared",
  export_exclusive: "export, exclusive",
  guard_read: "being read",
  guard_write: "being written",
  mirror: "mirror",
  queued_release: "release that waits",
};

const isGuard = (kind) => kind.startsWith("guard");
const isExport = (kind) => kind.startsWith("export");

/** Who consumes an export, as far as the call site tells. */
export const consumer = (holder) => library(holder.site) ?? "another library";

/** The handle that stands for a store: a named one that has most of the bytes, the oldest of those. */
function mainHandle(store) {
  const handles = store.holders.filter((h) => h.kind === "handle");
  const rank = (h) => (h.name ? 1 : 0) * store.bytes * 2 + (h.extent_bytes ?? 0);
  // The oldest handle comes last.
  return handles.reduce((best, h) => (best && rank(best) > rank(h) ? best : h), undefined);
}

/** "3 arrays, 1 export, being read" */
export function holdersInWords(holders, more = 0) {
  const parts = [];
  const of = (test) => holders.filter((h) => test(h.kind));
  const arrays = of((k) => k === "handle").length;
  if (arrays) parts.push(count(arrays, "array"));
  const exports = of(isExport);
  if (exports.length) {
    const who = [...new Set(exports.map(consumer))];
    parts.push(`${count(exports.length, "export")} to ${list(who.slice(0, 2))}`);
  }
  const reads = of((k) => k === "guard_read").length;
  const writes = of((k) => k === "guard_write").length;
  if (reads) parts.push(reads > 1 ? `being read ${reads} times` : "being read");
  if (writes) parts.push("being written");
  for (const kind of ["promise", "expression", "shared_variable", "mirror"]) {
    const n = of((k) => k === kind).length;
    if (n) parts.push(count(n, KINDS[kind]));
  }
  if (more) parts.push(`${count(more, "more holder", "more holders")}`);
  return parts.join(", ");
}

/** What is wanted of a table row and of a share of the bar. */
function itemOfStore(store, index, pools, now) {
  const handle = mainHandle(store);
  const first = handle ?? store.holders[0];
  const names = [...new Set(store.holders.map((h) => h.name).filter(Boolean))];
  const name = first?.name || names[0] || "";
  const site = first?.site || store.holders.findLast((h) => h.kind === "handle" && h.site)?.site || "";
  const pool = pools.get(store.pool);
  const outside = store.flags.includes("file") ? "a mapped file" : "memory of another owner";
  return {
    key: `s${index}`,
    type: "store",
    store,
    name,
    label: name || (site ? `unnamed, ${place(site)}` : `unnamed at ${store.address}`),
    names,
    bytes: store.bytes,
    blocks: 1,
    site,
    thread: first?.thread ?? 0,
    dtype: handle?.dtype ?? "",
    shape: handle?.shape ? `${handle.dtype} ${shapeText(handle.shape)}` : (handle?.dtype ?? ""),
    pool: pool ? pool.name : outside,
    poolId: store.pool,
    device: store.device,
    client: "arrays",
    holders: holdersInWords(store.holders, store.more_holders),
    n: store.holders.length + (store.more_holders ?? 0),
    age: store.time_ns ? Math.max(0, now - store.time_ns) : null,
  };
}

export const shapeText = (shape) => `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;

function itemOfGroup(group, index, pools, kind) {
  const arrays = kind === "arrays";
  const pool = pools.get(group.pool);
  const who = group.client === "raw" || group.client === "any" ? "raw memory" : group.client;
  const label = group.site ? `${arrays ? "arrays" : who}, ${place(group.site)}` : arrays ? "arrays without a call site" : who;
  return {
    key: `${arrays ? "a" : "b"}${index}`,
    type: "group",
    group,
    name: "",
    label,
    names: [],
    bytes: group.bytes,
    blocks: group.blocks,
    site: group.site,
    thread: 0,
    dtype: "",
    shape: "",
    pool: pool ? pool.name : arrays ? "other memory" : "several pools",
    poolId: group.pool,
    device: pool?.device ?? "",
    client: group.client,
    holders: count(group.blocks, arrays ? "array" : "block"),
    n: group.blocks,
    age: null,
  };
}

/** Everything that the parts of the page share. */
export function prepare(snapshot) {
  const now = snapshot.time_ns;
  const pools = new Map(snapshot.pools.map((p) => [p.id, p]));
  const items = [
    ...snapshot.stores.map((s, i) => itemOfStore(s, i, pools, now)),
    ...(snapshot.more_stores ?? []).map((g, i) => itemOfGroup(g, i, pools, "arrays")),
    ...snapshot.blocks.map((g, i) => itemOfGroup(g, i, pools, "blocks")),
  ].sort((a, b) => b.bytes - a.bytes);
  const sum = (key) => snapshot.pools.reduce((all, p) => all + p.stats[key], 0);
  // An import of a pool's own block is counted with the pool.
  const outside = snapshot.stores
    .filter((s) => s.pool === null && !inSegments(snapshot.pools, s.address))
    .reduce((all, s) => all + s.bytes, 0);
  const inUse = sum("in_use_bytes");
  const listed = items.reduce((all, i) => all + i.bytes, 0);
  return {
    snapshot,
    pools,
    items,
    byKey: new Map(items.map((i) => [i.key, i])),
    inUse,
    outside,
    held: inUse + outside,
    // Blocks have more bytes than was asked for.
    rounding: Math.max(0, inUse + outside - listed),
    reserved: sum("reserved_bytes"),
    now,
    ages: [...new Set(items.map((i) => i.age).filter((a) => a !== null))].sort((a, b) => a - b),
  };
}

function inSegments(pools, address) {
  const at = BigInt(address);
  return pools.some((p) => p.segments.some((s) => at >= BigInt(s.address) && at < BigInt(s.address) + BigInt(s.bytes)));
}

/** The handles of a store with equal answers to why_not, and each answer in sentences; none: the bytes may be overwritten in place. */
export function whyNot(store) {
  const groups = new Map();
  for (const h of store.holders) {
    if (h.kind !== "handle" || !h.why) continue;
    const key = h.why.join();
    groups.set(key, [...(groups.get(key) ?? []), h]);
  }
  return [...groups.values()].map((handles) => ({ handles, reasons: reasonsOf(store, handles) }));
}

function reasonsOf(store, [handle, ...like]) {
  const others = store.holders.filter((h) => h !== handle);
  const at = (h) => (h.site ? ` at ${place(h.site)}` : "");
  const named = (h) => (h.name ? `\u201c${h.name}\u201d${at(h)}` : h.site ? `the one${at(h)}` : "an unnamed one");
  const some = (found) => `${list(found.slice(0, 3).map(named))}${found.length > 3 ? ` and ${found.length - 3} more` : ""}`;
  const texts = {
    given: () => "It is promised to a callee that has not taken it yet.",
    shared: () => {
      const handles = others.filter((h) => ["handle", "shared_variable", "mirror", "promise"].includes(h.kind));
      if (!handles.length) return "It holds the value of a shared variable.";
      if (like.length) return `${handles.length + 1} arrays have the same bytes. Release all but one, or write a copy.`;
      const one = handles.length === 1;
      return `${one ? "Another holder has" : `${handles.length} other holders have`} the same bytes: ${some(handles)}. Release ${one ? "it" : "them"}, or write a copy.`;
    },
    in_expression: () => `A lazy expression will read it${at(others.find((h) => h.kind === "expression") ?? { site: "" })}. Compute or release it.`,
    exported: () => {
      const exports = others.filter((h) => isExport(h.kind));
      const who = [...new Set(exports.map((h) => `${consumer(h)}${at(h)}`))];
      return `${exports.length === 1 ? "An export is open" : `${exports.length} exports are open`}: ${list(who.slice(0, 3))} may still use the bytes.`;
    },
    borrowed: () => {
      const guards = others.filter((h) => isGuard(h.kind));
      const write = guards.some((h) => h.kind === "guard_write");
      return `It is being ${write ? "written" : "read"}${at(guards[0] ?? { site: "" })}. End ${guards.length > 1 ? "those borrows" : "that borrow"}.`;
    },
    readonly: () => "Writes through this handle are refused: it is read-only.",
    foreign: () => "The bytes belong to another library or a file, which may still use them.",
    poisoned: () => "A write that failed left some of its bytes undefined.",
    not_aliasable: () => "Several of its elements lie at one address.",
  };
  return handle.why.map((reason) => texts[reason]?.() ?? reason.replaceAll("_", " "));
}

/** What is worth a look, the worst first. */
export function findings(data) {
  const { snapshot } = data;
  const found = [];
  const add = (level, text, target) => found.push({ level, text, target });
  for (const p of snapshot.pools) {
    const s = p.stats;
    if (s.misuse_count) add(2, `Pool ${p.name} refused ${count(s.misuse_count, "wrong free")} or wrong pointers.`, "pools");
    if (s.oom_count) add(2, `Pool ${p.name} could not serve ${count(s.oom_count, "request")}: out of memory.`, "pools");
    if (s.limit_bytes && s.reserved_bytes > 0.9 * s.limit_bytes) {
      add(1, `Pool ${p.name} is at ${percent(s.reserved_bytes, s.limit_bytes)} of its limit of ${size(s.limit_bytes)}.`, "pools");
    }
    if (s.cached_bytes > 64 << 20 && s.cached_bytes > s.in_use_bytes) {
      add(1, `Pool ${p.name} caches ${size(s.cached_bytes)} that no one uses; a trim returns it.`, "pools");
    }
    if (s.held_bytes) add(1, `${size(s.held_bytes)} in pool ${p.name} are kept only by guards or exports: their arrays are released.`, "arrays");
    for (const text of p.warnings) add(0, `Pool ${p.name}: ${text}.`, "pools");
  }
  const poisoned = snapshot.stores.filter((s) => s.flags.includes("poisoned")).length;
  if (poisoned) add(2, `${count(poisoned, "store has", "stores have")} bytes that a failed write left undefined.`, "arrays");
  if (snapshot.libraries.length > 1) add(2, `${snapshot.libraries.length} copies of the library are loaded; handles of one are stale in another.`, "open");
  const forced = snapshot.copies.filter((c) => c.forced);
  const copied = forced.reduce((all, c) => all + c.bytes, 0);
  if (copied) add(1, `${size(copied)} were copied where an alias would have been accepted.`, "copies");
  const old = snapshot.stores.flatMap((s) => s.holders).filter((h) => isExport(h.kind) && h.time_ns && data.now - h.time_ns > 600e9);
  if (old.length) add(0, `${count(old.length, "export is", "exports are")} open for more than ${duration(600e9)}.`, "arrays");
  return found.sort((a, b) => b.level - a.level);
}

/** A small stable hash of a text. */
function hash(text) {
  let h = 2166136261;
  for (let i = 0; i < text.length; i += 1) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  return h >>> 0;
}

const HUES = 8;

/** Colours: the largest named items get one each; a client has always its own. */
export function colours(data, by) {
  const css = getComputedStyle(document.documentElement);
  const variable = (name) => css.getPropertyValue(name).trim();
  const palette = Array.from({ length: HUES }, (_, i) => variable(`--c${i}`));
  const grey = variable("--other");
  const ramp = Array.from({ length: 6 }, (_, i) => variable(`--age${i}`));
  const clients = Object.fromEntries(CLIENTS.map((c, i) => [c, c === "other" ? grey : palette[i % HUES]]));
  const ranks = new Map();
  for (const item of data.items) if (!ranks.has(item.label)) ranks.set(item.label, ranks.size);
  const named = (label) => {
    const rank = ranks.get(label);
    return rank === undefined ? grey : rank < HUES ? palette[rank] : palette[hash(label) % HUES];
  };
  const aged = (age) => {
    if (age === null) return grey;
    const at = data.ages.length > 1 ? data.ages.indexOf(age) / (data.ages.length - 1) : 0;
    return ramp[Math.min(ramp.length - 1, Math.floor(at * ramp.length))];
  };
  return {
    grey,
    free: variable("--free"),
    client: (client) => clients[client] ?? grey,
    item: (item) => (by === "client" ? (clients[item.client] ?? grey) : by === "age" ? aged(item.age) : named(item.label)),
    ramp,
  };
}
