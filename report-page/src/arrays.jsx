// The table of arrays and raw memory, with a search, and the details of the chosen one. Only rows in view are in the document.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Detail } from "./detail.jsx";
import { count, duration, place, size } from "./format.js";

const OVERSCAN = 6;

/** id, title, value to sort by, whether large values come first, cell. */
const COLUMNS = [
  { id: "label", title: "Name", key: (i) => i.label.toLowerCase(), cell: (i) => <b>{i.label}</b> },
  { id: "bytes", title: "Size", key: (i) => i.bytes, down: true, cell: (i) => size(i.bytes) },
  { id: "shape", title: "Type and shape", key: (i) => i.shape, cell: (i) => i.shape },
  { id: "holders", title: "Held by", key: (i) => i.n, down: true, cell: (i) => i.holders },
  { id: "site", title: "Call site", key: (i) => i.site, cell: (i) => <code title={i.site}>{place(i.site)}</code> },
  { id: "thread", title: "Thread", key: (i) => i.thread, cell: (i) => i.thread || "" },
  { id: "pool", title: "Pool", key: (i) => i.pool, cell: (i) => i.pool },
  { id: "age", title: "Age", key: (i) => i.age ?? -1, down: true, cell: (i) => (i.age === null ? "" : duration(i.age)) },
];

/** The texts that a search looks at: for words, and for addresses and ids, which begin with 0x. */
const searched = (i) => ({
  words: [i.label, ...i.names, i.site, i.shape, i.pool, i.device, i.client, i.thread, i.holders, ...(i.store?.holders ?? []).map((h) => h.site)]
    .join(" ")
    .toLowerCase(),
  bits: [i.store?.address ?? i.group.largest_address, ...(i.store?.holders ?? []).map((h) => h.id)].join(" "),
});

export function Arrays({ data, chosen, choose, appearance }) {
  const [wanted, setWanted] = useState("");
  const [order, setOrder] = useState({ id: "bytes", down: true });
  const [view, setView] = useState({ top: 0, height: 400 });
  const body = useRef(null);
  const rowHeight = useMemo(() => (matchMedia("(max-width: 700px)").matches ? 54 : 32), [appearance]);
  const texts = useMemo(() => new Map(data.items.map((i) => [i.key, searched(i)])), [data]);
  const rows = useMemo(() => {
    const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
    const { key } = COLUMNS.find((c) => c.id === order.id);
    const found = data.items.filter((i) => words.every((w) => texts.get(i.key)[w.startsWith("0x") ? "bits" : "words"].includes(w)));
    const keyed = found.map((i) => [key(i), i]);
    keyed.sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : y.bytes - x.bytes) * (order.down ? -1 : 1));
    return keyed.map(([, i]) => i);
  }, [data, wanted, order]);
  const at = rows.findIndex((i) => i.key === chosen);

  useEffect(() => setView((v) => ({ ...v, height: body.current.clientHeight })), [appearance]);
  const reveal = (index) => {
    const box = body.current;
    const top = index * rowHeight;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + rowHeight > box.scrollTop + box.clientHeight) box.scrollTop = top + rowHeight - box.clientHeight;
  };
  const [cursor, setCursor] = useState(0);
  useEffect(() => {
    if (at >= 0) {
      setCursor(at);
      reveal(at);
    }
  }, [at, rowHeight]);
  const move = (to) => {
    const next = Math.min(rows.length - 1, Math.max(0, to));
    setCursor(next);
    reveal(next);
  };
  const keys = (event) => {
    const page = Math.max(1, Math.floor(view.height / rowHeight) - 1);
    const moves = {
      ArrowDown: cursor + 1,
      ArrowUp: cursor - 1,
      PageDown: cursor + page,
      PageUp: cursor - page,
      Home: 0,
      End: rows.length - 1,
    };
    if (event.key in moves) move(moves[event.key]);
    else if ((event.key === "Enter" || event.key === " ") && rows[cursor]) choose(rows[cursor].key, true);
    else return;
    event.preventDefault();
  };
  const sort = (column) =>
    setOrder((o) => (o.id === column.id ? { ...o, down: !o.down } : { id: column.id, down: Boolean(column.down) }));

  const first = Math.max(0, Math.floor(view.top / rowHeight) - OVERSCAN);
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / rowHeight) + OVERSCAN);
  const bytes = rows.reduce((all, i) => all + i.bytes, 0);
  const left = (data.snapshot.more_stores ?? []).reduce((all, g) => all + g.blocks, 0);
  return (
    <>
      <div class="tools">
        <input
          type="search"
          value={wanted}
          placeholder="Search name, call site, pool, library, thread, type"
          aria-label="Search arrays"
          onInput={(e) => {
            setWanted(e.currentTarget.value);
            setCursor(0);
            body.current.scrollTop = 0;
          }}
          onKeyDown={(e) => {
            if (e.key === "ArrowDown") {
              body.current.focus();
              e.preventDefault();
            }
          }}
        />
        <span class="quiet" aria-live="polite">
          {rows.length < data.items.length ? `${rows.length} of ${data.items.length}` : count(rows.length, "row")}, {size(bytes)}
          {left > 0 && `; ${count(left, "smaller array")} by call site`}
        </span>
      </div>
      <div class="table" role="grid" aria-rowcount={rows.length + 1} aria-colcount={COLUMNS.length} aria-label="Arrays and raw memory">
        <div class="head" role="row" aria-rowindex={1}>
          {COLUMNS.map((c) => (
            <span
              key={c.id}
              class={c.id}
              role="columnheader"
              aria-sort={order.id === c.id ? (order.down ? "descending" : "ascending") : "none"}
            >
              <button onClick={() => sort(c)}>
                {c.title}
                <i aria-hidden="true">{order.id === c.id ? (order.down ? "▾" : "▴") : ""}</i>
              </button>
            </span>
          ))}
        </div>
        <div
          class="body"
          ref={body}
          tabIndex={0}
          aria-label="Rows: arrow keys move, Enter chooses"
          aria-activedescendant={rows[cursor] ? `row-${rows[cursor].key}` : undefined}
          onScroll={(e) => setView({ top: e.currentTarget.scrollTop, height: e.currentTarget.clientHeight })}
          onKeyDown={keys}
        >
          <div style={{ height: `${rows.length * rowHeight}px`, position: "relative" }}>
            {rows.slice(first, last).map((i, n) => (
              <div
                key={i.key}
                id={`row-${i.key}`}
                role="row"
                class={`row${i.key === chosen ? " chosen" : ""}${first + n === cursor ? " cursor" : ""}`}
                aria-rowindex={first + n + 2}
                aria-selected={i.key === chosen}
                style={{ top: `${(first + n) * rowHeight}px`, height: `${rowHeight}px` }}
                onClick={() => choose(i.key)}
              >
                {COLUMNS.map((c) => (
                  <span key={c.id} class={c.id} role="gridcell">
                    {c.cell(i)}
                  </span>
                ))}
              </div>
            ))}
          </div>
          {!rows.length && <p class="quiet none">{data.items.length ? "Nothing matches." : "There is no array and no raw block."}</p>}
        </div>
      </div>
      <Detail data={data} item={data.byKey.get(chosen)} />
    </>
  );
}
