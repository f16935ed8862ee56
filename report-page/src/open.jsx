// What is open and holds no bytes, and the copies of the library in the process.

import { KINDS } from "./data.js";
import { count, place } from "./format.js";

export function Open({ data }) {
  const { open, more_open: more, libraries } = data.snapshot;
  const groups = new Map();
  for (const h of open) {
    const key = `${h.kind}\n${h.name}\n${h.site}`;
    const group = groups.get(key) ?? { ...h, n: 0 };
    group.n += 1;
    groups.set(key, group);
  }
  const rows = [...groups.values()].sort((a, b) => a.kind.localeCompare(b.kind) || b.n - a.n);
  return (
    <>
      {libraries.length > 1 && (
        <ul>
          {libraries.map((l) => (
            <li key={l.path}>
              <code>{l.path || "unknown file"}</code>, version {l.version.join(".")}
              {l.this && ", which wrote this page"}
            </li>
          ))}
        </ul>
      )}
      {rows.length > 0 && (
        <details>
          <summary>{count(open.length + (more ?? 0), "handle")} without bytes: pools, weak handles, scopes and others</summary>
          <div class="wide">
            <table>
              <thead>
                <tr>
                  <th>Kind</th>
                  <th>Name</th>
                  <th>Call site</th>
                  <th class="num">How many</th>
                </tr>
              </thead>
              <tbody>
                {rows.slice(0, 200).map((h) => (
                  <tr key={`${h.kind}\n${h.name}\n${h.site}`}>
                    <td>{KINDS[h.kind] ?? h.kind.replaceAll("_", " ")}</td>
                    <td>{h.name}</td>
                    <td>
                      <code title={h.site}>{place(h.site)}</code>
                    </td>
                    <td class="num">{h.n}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </details>
      )}
    </>
  );
}
