// The page: its sections in order, and what they share: the snapshot and the chosen item.

import { render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { Arrays } from "./arrays.jsx";
import { Copies } from "./copies.jsx";
import { prepare } from "./data.js";
import { moment } from "./format.js";
import { MemoryMap } from "./map.jsx";
import { Open } from "./open.jsx";
import { Overview } from "./overview.jsx";
import { Pools } from "./pools.jsx";
import { Processes, isShared } from "./processes.jsx";
import { Timeline } from "./timeline.jsx";

/** The sections. One whose `when` is false has nothing to show. A section for another part of the snapshot is one more entry here. */
const SECTIONS = [
  { id: "overview", title: "Overview", View: Overview, when: () => true },
  { id: "map", title: "Map", View: MemoryMap, when: (s) => s.pools.length > 0 || s.stores.length > 0 },
  { id: "arrays", title: "Arrays", View: Arrays, when: () => true },
  { id: "copies", title: "Copies", View: Copies, when: () => true },
  // Only while an event log runs.
  { id: "timeline", title: "Use over time", View: Timeline, when: (s) => Boolean(s.timeline) },
  { id: "pools", title: "Pools", View: Pools, when: (s) => s.pools.length > 0 },
  { id: "processes", title: "Other processes", View: Processes, when: isShared },
  { id: "open", title: "Also open", View: Open, when: (s) => s.open.length > 0 || s.libraries.length > 1 },
];

/** Rises when the reader's colour scheme or the width changes, so that pictures are drawn again. */
function useAppearance() {
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    const changed = () => setChanges((n) => n + 1);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", changed);
    addEventListener("resize", changed);
    return () => {
      dark.removeEventListener("change", changed);
      removeEventListener("resize", changed);
    };
  }, []);
  return changes;
}

function Page({ snapshot }) {
  const data = useMemo(() => prepare(snapshot), [snapshot]);
  const [chosen, setChosen] = useState(data.items[0]?.key ?? null);
  const appearance = useAppearance();
  const shown = SECTIONS.filter((s) => s.when(snapshot));
  /** Chooses an item; `show` also brings its details into view. */
  const choose = (key, show = false) => {
    setChosen(key);
    if (show) requestAnimationFrame(() => document.getElementById("detail")?.scrollIntoView({ block: "nearest" }));
  };
  return (
    <>
      <header class="top">
        <div class="bar">
          <strong>Memory of process {snapshot.process}</strong>
          <nav aria-label="Sections">
            {shown.map((s) => (
              <a key={s.id} href={`#${s.id}`}>
                {s.title}
              </a>
            ))}
          </nav>
          <span class="quiet">
            {moment(snapshot.time_ns)} · tenure {snapshot.version.join(".")}
          </span>
        </div>
      </header>
      <main>
        {shown.map(({ id, title, View }) => (
          <section key={id} id={id} aria-labelledby={`${id}-title`}>
            {id !== "overview" && <h2 id={`${id}-title`}>{title}</h2>}
            <View data={data} chosen={chosen} choose={choose} appearance={appearance} />
          </section>
        ))}
      </main>
    </>
  );
}

const snapshot = JSON.parse(document.getElementById("snapshot").textContent);
document.title = `Memory of process ${snapshot.process}`;
const root = document.getElementById("page");
root.textContent = "";
render(<Page snapshot={snapshot} />, root);
