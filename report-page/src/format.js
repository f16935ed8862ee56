// Numbers, sizes, times and words, for people.

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** "1.5 GiB" */
export function size(bytes) {
  let unit = 0;
  let amount = bytes;
  while (amount >= 1000 && unit < UNITS.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || amount >= 100 ? 0 : amount >= 10 ? 1 : 2;
  const text = amount.toFixed(digits).replace(/\.0+$|(\.\d*[1-9])0+$/, "$1");
  return `${text}\u00a0${unit === 0 && bytes === 1 ? "byte" : UNITS[unit]}`;
}

/** "12,345" */
export const number = (n) => n.toLocaleString("en-US");

/** "64 %"; never 100 % or 0 % for a part that is not all or nothing. */
export function percent(part, whole) {
  if (!whole) return "0\u00a0%";
  const share = (100 * part) / whole;
  if (share > 0 && share < 1) return "<1\u00a0%";
  return `${share < 100 && share > 99 ? 99 : Math.round(share)}\u00a0%`;
}

/** "1 array", "2 arrays", "3 copies" */
export const count = (n, one, many = `${one}s`) => `${number(n)}\u00a0${n === 1 ? one : many}`;

/** "3 s", "2 min", "5 h", "12 days" */
export function duration(ns) {
  const seconds = ns / 1e9;
  if (seconds < 0.1) return "<0.1\u00a0s";
  if (seconds < 10) return `${seconds.toFixed(1)}\u00a0s`;
  if (seconds < 120) return `${Math.round(seconds)}\u00a0s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)}\u00a0min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)}\u00a0h`;
  return `${Math.round(seconds / 86400)}\u00a0days`;
}

/** A date and a time of the reader's zone. */
export function moment(ns) {
  const d = new Date(ns / 1e6);
  const two = (n) => String(n).padStart(2, "0");
  return (
    `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ` +
    `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`
  );
}

/** "train.py:41" of a long path; the whole path is a title. */
export function place(site) {
  const slash = site.lastIndexOf("/");
  return slash < 0 ? site : site.slice(slash + 1);
}

/** The installed package that a Python file belongs to, if any. */
export function library(site) {
  const at = site.lastIndexOf("-packages/");
  if (at < 0) return null;
  const rest = site.slice(at + 10);
  return rest.includes("/") ? rest.split("/")[0] : null;
}

export const list = (texts) =>
  texts.length < 2 ? texts.join("") : `${texts.slice(0, -1).join(", ")} and ${texts[texts.length - 1]}`;
