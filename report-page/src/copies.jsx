// The copy book: copies of imports, exports and copy on write, by call site.

import { useState } from "preact/hooks";
import { count, list, number, place, size } from "./format.js";

const REASONS = {
  given: "it is promised to a callee",
  shared: "another array has the same bytes",
  in_expression: "a lazy expression will read it",
  exported: "an export is open",
  borrowed: "it is being used",
  readonly: "it is read-only",
  foreign: "the bytes belong to another library",
  poisoned: "a failed write left it undefined",
  layout: "the layout does not fit",
  device: "it is on another device",
  waste: "most of the memory would be wasted",
  not_aliasable: "elements lie at one address",
};
const MOST = 12;

export function Copies({ data }) {
  const [all, setAll] = useState(false);
  const copies = data.snapshot.copies;
  if (!copies.length) return <p class="quiet">No import, export or copy on write has copied.</p>;
  const bytes = copies.reduce((sum, c) => sum + c.bytes, 0);
  const forced = copies.filter((c) => c.forced).reduce((sum, c) => sum + c.bytes, 0);
  const shown = all ? copies : copies.slice(0, MOST);
  const most = copies[0].bytes || 1;
  return (
    <>
      <p>
        {size(bytes)} since the start; {forced ? `${size(forced)} of it where an alias would have been accepted.` : "all of it was asked for."}
      </p>
      <div class="wide">
        <table class="copies">
          <thead>
            <tr>
              <th class="num">Bytes</th>
              <th class="num">Copies</th>
              <th>Call site</th>
              <th>Function</th>
              <th>Why</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((c, i) => (
              <tr key={i}>
                <td class="num amount">
                  <span style={{ width: `${(100 * c.bytes) / most}%` }} class={c.forced ? "forced" : ""} />
                  <b>{size(c.bytes)}</b>
                </td>
                <td class="num">{number(c.count)}</td>
                <td>
                  <code title={c.site}>{place(c.site) || "not known"}</code>
                </td>
                <td>
                  <code>{c.function}</code>
                </td>
                <td>{c.forced ? `not asked for: ${list(c.why.map((w) => REASONS[w] ?? w)) || "the caller"}` : "asked for"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {copies.length > shown.length && <button onClick={() => setAll(true)}>{count(copies.length - shown.length, "more entry", "more entries")}</button>}
      {data.snapshot.more_copies > 0 && <p class="quiet">{count(data.snapshot.more_copies, "smaller entry", "smaller entries")} left out of this page.</p>}
    </>
  );
}
