// The details of the chosen item: facts, who holds what as a graph, and why each array may not be overwritten in place.

import { KINDS, consumer, shapeText, whyNot } from "./data.js";
import { count, duration, list, place, size } from "./format.js";

/** Nodes of one column of the graph. */
const MOST = 14;
const BOX = { width: 244, height: 46, gap: 10, column: 304 };

const isUse = (kind) => kind.startsWith("guard") || kind.startsWith("export") || kind === "promise";

/** Text that fits into a box. */
const fit = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

function title(h) {
  if (h.kind.startsWith("export")) return `${KINDS[h.kind]}: ${consumer(h)}`;
  const kind = KINDS[h.kind] ?? h.kind.replaceAll("_", " ");
  return h.name && !isUse(h.kind) ? `${kind} “${h.name}”` : kind;
}

/** Columns: the bytes, their arrays, and what is open through each array. */
function layOut(store) {
  const owners = store.holders.filter((h) => !isUse(h.kind));
  const uses = store.holders.filter((h) => isUse(h.kind));
  const nodes = [];
  const edges = [];
  const shownOwners = owners.slice(0, MOST);
  let y = 0;
  const step = BOX.height + BOX.gap;
  const place2 = [];
  for (const owner of shownOwners) {
    const own = uses.filter((u) => u.of === owner.id).slice(0, MOST);
    const top = y;
    own.forEach((use) => {
      place2.push({ holder: use, y, owner });
      y += step;
    });
    if (!own.length) y += step;
    nodes.push({ holder: owner, column: 1, y: top + (Math.max(1, own.length) - 1) * (step / 2) });
  }
  for (const use of uses.filter((u) => !owners.some((o) => o.id === u.of)).slice(0, MOST)) {
    place2.push({ holder: use, y, owner: null });
    y += step;
  }
  const height = Math.max(y - BOX.gap, BOX.height);
  const root = { y: height / 2 - BOX.height / 2 };
  for (const n of nodes) edges.push({ x: 0, from: root.y, to: n.y });
  for (const p of place2) {
    const owner = nodes.find((n) => n.holder === p.owner);
    edges.push(owner ? { x: 1, from: owner.y, to: p.y } : { x: 0, from: root.y, to: p.y, far: true });
    nodes.push({ holder: p.holder, column: 2, y: p.y });
  }
  const left = store.holders.length - nodes.length + (store.more_holders ?? 0);
  return { nodes, edges, root, height, left, columns: place2.length ? 3 : 2 };
}

function Box({ x, y, kind, first, second, full }) {
  return (
    <g transform={`translate(${x} ${y})`} class={`node ${kind}`}>
      <title>{full}</title>
      <rect width={BOX.width} height={BOX.height} rx={6} />
      <text x={12} y={19} class="first">
        {fit(first, 28)}
      </text>
      <text x={12} y={36} class="second">
        {fit(second, 32)}
      </text>
    </g>
  );
}

function Graph({ store, name }) {
  const { nodes, edges, root, height, left, columns } = layOut(store);
  const width = (columns - 1) * BOX.column + BOX.width + 4;
  const kind = (h) => (h.kind.startsWith("guard") ? "guard" : h.kind.startsWith("export") ? "export" : "owner");
  return (
    <>
      <div class="graph" tabIndex={0} role="group" aria-label="Who holds these bytes">
        <svg width={width} height={height + 4} viewBox={`-2 -2 ${width} ${height + 4}`} role="img" aria-label={`${name}: ${count(store.holders.length, "holder")}`}>
          {edges.map((e, i) => {
            const x = e.x * BOX.column + BOX.width;
            const end = (e.far ? 2 : e.x + 1) * BOX.column;
            const [from, to, middle] = [e.from + BOX.height / 2, e.to + BOX.height / 2, (x + end) / 2];
            return <path key={i} d={`M${x} ${from}C${middle} ${from} ${middle} ${to} ${end} ${to}`} />;
          })}
          <Box x={0} y={root.y} kind="bytes" first={`${size(store.bytes)} on ${store.device}`} second={`at ${store.address}`} full={`${store.bytes} bytes at ${store.address}`} />
          {nodes.map(({ holder: h, column, y }) => (
            <Box
              key={h.id + h.kind}
              x={column * BOX.column}
              y={y}
              kind={kind(h)}
              first={title(h)}
              second={[h.shape ? `${h.dtype} ${shapeText(h.shape)}` : "", place(h.site)].filter(Boolean).join(" · ") || `thread ${h.thread}`}
              full={`${title(h)}\n${h.site || "call site not known"}\nthread ${h.thread}, ${h.id}`}
            />
          ))}
        </svg>
      </div>
      {left > 0 && <p class="quiet">{count(left, "more holder")}, listed below as far as the page has them.</p>}
    </>
  );
}

function Why({ store }) {
  const answers = whyNot(store);
  if (!answers.length) return null;
  return (
    <>
      <h4>May it be overwritten in place?</h4>
      <ul class="why">
        {answers.slice(0, 12).map(({ handles, reasons }) => {
          const names = handles.filter((h) => h.name).map((h) => h.name);
          const rest = handles.length - names.length;
          const shown = names.slice(0, 4);
          if (names.length > shown.length) shown.push(`${names.length - shown.length} others`);
          if (rest) shown.push(rest === 1 && handles[0].site ? `the array made at ${place(handles[0].site)}` : count(rest, "unnamed array"));
          return (
            <li key={handles[0].id} class={reasons.length ? "no" : "yes"}>
              <b>{list(shown)}</b>
              {reasons.length ? (
                <>
                  {": no. "}
                  {reasons.join(" ")}
                </>
              ) : (
                ": yes, no one else holds its bytes."
              )}
            </li>
          );
        })}
      </ul>
    </>
  );
}

function Holders({ store, now }) {
  return (
    <details>
      <summary>All {count(store.holders.length, "holder")} as a list</summary>
      <div class="wide">
        <table>
          <thead>
            <tr>
              <th>Kind</th>
              <th>Name</th>
              <th>Type and shape</th>
              <th>Part of the bytes</th>
              <th>Call site</th>
              <th>Thread</th>
              <th>Since</th>
            </tr>
          </thead>
          <tbody>
            {store.holders.map((h) => (
              <tr key={h.id + h.kind}>
                <td>{title({ ...h, name: "" })}</td>
                <td>{h.name}</td>
                <td>{h.shape ? `${h.dtype} ${shapeText(h.shape)}` : ""}</td>
                <td>{h.extent_bytes === undefined ? "" : h.extent_bytes === store.bytes ? "all" : `${size(h.extent_bytes)} from byte ${h.offset}`}</td>
                <td>
                  <code title={h.site}>{place(h.site)}</code>
                </td>
                <td>{h.thread}</td>
                <td>{h.time_ns ? duration(Math.max(0, now - h.time_ns)) : ""}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

const FLAGS = { readonly: "read-only", foreign: "belongs to another library", file: "a mapped file", poisoned: "partly undefined after a failed write" };

export function Detail({ data, item }) {
  if (!item) return <aside id="detail" />;
  if (item.type === "group") {
    const { group } = item;
    return (
      <aside id="detail" aria-label="Details">
        <h3>{item.label}</h3>
        <p>
          {count(group.blocks, group.client === "arrays" ? "array" : "block")} of {size(group.bytes)} together; the largest has{" "}
          {size(group.largest_bytes)}, at <code>{group.largest_address}</code>. In {item.pool}.
        </p>
        {group.site && (
          <p>
            Made at <code>{group.site}</code>
          </p>
        )}
      </aside>
    );
  }
  const { store } = item;
  const facts = [
    [store.pool === null ? item.pool : `in pool ${item.pool}`, ""],
    item.age !== null && [duration(item.age), "old"],
    [count(store.version, "finished write"), ""],
    store.imports > 0 && [count(store.imports, "open import"), ""],
    ...store.flags.map((f) => [FLAGS[f] ?? f, ""]),
  ].filter(Boolean);
  return (
    <aside id="detail" aria-label="Details">
      <h3>
        {item.label} <span class="quiet">{size(store.bytes)}</span>
      </h3>
      <p class="facts">
        {facts.map(([value, what]) => (
          <span key={value}>
            {value} {what}
          </span>
        ))}
        {item.site && <code title={item.site}>{item.site}</code>}
      </p>
      <h4>Who holds it</h4>
      <Graph store={store} name={item.label} />
      <Why store={store} />
      <Holders store={store} now={data.now} />
    </aside>
  );
}
