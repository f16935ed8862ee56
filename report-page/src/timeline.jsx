// Use over time, from the event log: the requested bytes of all pools that were live.

import { count, number, size } from "./format.js";

const WIDTH = 1160;
const HEIGHT = 170;

/** Seconds with the digits that tell neighbours apart. */
const seconds = (s) => `${s < 10 ? s.toFixed(2) : Math.round(s)}\u00a0s`;

export function Timeline({ data }) {
  const { points, events, dropped, kinds } = data.snapshot.timeline;
  const last = points.length ? points[points.length - 1][0] : 0;
  const first = points.length ? points[0][0] : 0;
  const peak = points.reduce((most, [, bytes]) => Math.max(most, bytes), 0);
  const x = (s) => (last > first ? ((s - first) / (last - first)) * WIDTH : 0);
  const y = (bytes) => HEIGHT - (peak ? (bytes / peak) * (HEIGHT - 4) : 0);
  // Steps: a value holds until the next one.
  const steps = points.map(([s, bytes], i) => `${i ? `H${x(s).toFixed(1)}V` : `M0 `}${y(bytes).toFixed(1)}`).join("");
  const at = points.find(([, bytes]) => bytes === peak)?.[0] ?? 0;
  const taken = Object.entries(kinds).filter(([, n]) => n > 0);
  return (
    <>
      <p>
        {points.length ? `At most ${size(peak)} at once, ${seconds(at)} after the log began. ` : "The log has no allocation yet. "}
        {count(events, "event")}: {taken.map(([kind, n]) => `${number(n)} ${kind}`).join(", ") || "none"}.
        {dropped > 0 && ` ${count(dropped, "event is", "events are")} not in the log.`}
      </p>
      {points.length > 1 && (
        <figure class="timeline">
          <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`Bytes in use over ${seconds(last - first)}, at most ${size(peak)}`}>
            <path class="area" d={`${steps}H${WIDTH}V${HEIGHT}H0Z`} />
            <path class="line" d={`${steps}H${WIDTH}`} />
          </svg>
          <figcaption class="quiet">
            <span>{seconds(first)}</span>
            <span>{seconds(last)}</span>
          </figcaption>
        </figure>
      )}
    </>
  );
}
