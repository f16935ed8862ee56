//! The text of a report, line for line that of Python's `tenure.report()`. `tests/report.rs` compares the two.

use crate::snapshot::{Blocks, Copies, Holder, Library, Pool, SharedIn, SharedOut, Snapshot, Store};
use crate::text::{count, size, sum};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Pools by their id.
type Pools<'a> = BTreeMap<u64, &'a Pool>;

/// The lines, with at most `limit` of each list.
pub fn lines(report: &Snapshot, limit: usize) -> Vec<String> {
    let mut out = vec![format!("tenure {}, process {}", version(&report.version), report.process)];
    libraries(&report.libraries, &mut out);
    let pools: Pools<'_> = report.pools.iter().map(|pool| (pool.id, pool)).collect();
    for pool in largest(&report.pools, |pool| pool.stats.in_use_bytes) {
        out.push(String::new());
        lines_of_pool(pool, &mut out);
    }
    let total = |bytes: u64, stores: usize| format!("arrays: {} in {}", size(bytes), count(stores as u64, "store"));
    out.extend([String::new(), total(sum(&report.stores, |store| store.bytes), report.stores.len())]);
    list(&report.stores, limit, |store| store.bytes, |store| line_of_store(store, &pools), &mut out);
    if !report.blocks.is_empty() {
        let blocks = count(sum(&report.blocks, |group| group.blocks), "block");
        let bytes = size(sum(&report.blocks, |group| group.bytes));
        out.extend([String::new(), format!("raw memory: {bytes} in {blocks}")]);
        list(&report.blocks, limit, |group| group.bytes, |group| line_of_blocks(group, &pools), &mut out);
    }
    if !report.shared_out.is_empty() {
        let bytes = size(sum(&report.shared_out, |kept| kept.bytes));
        out.extend([String::new(), format!("freed here, and kept for other processes: {bytes}")]);
        list(&report.shared_out, limit, |kept| kept.bytes, line_of_kept, &mut out);
    }
    if !report.shared_in.is_empty() {
        let bytes = size(sum(&report.shared_in, |mapped| mapped.bytes));
        out.extend([String::new(), format!("of other processes, mapped here: {bytes}")]);
        list(&report.shared_in, limit, |mapped| mapped.bytes, line_of_mapped, &mut out);
    }
    if !report.copies.is_empty() {
        out.extend([String::new(), format!("copies: {}", size(sum(&report.copies, |copies| copies.bytes)))]);
        // The report has them in this order already.
        list(&report.copies, limit, |_| 0, line_of_copies, &mut out);
    }
    let open: Vec<Holder> = report.open.iter().filter(|holder| holder.kind != "pool").cloned().collect();
    if !open.is_empty() {
        out.extend([String::new(), format!("also open: {}", holders(&open))]);
    }
    out
}

/// The items, the largest first.
fn largest<T>(items: &[T], value: impl Fn(&T) -> u64) -> Vec<&T> {
    let mut sorted: Vec<&T> = items.iter().collect();
    sorted.sort_by_key(|item| Reverse(value(item)));
    sorted
}

/// Adds the lines of a list, the largest items first, and the number of those left out.
fn list<T>(items: &[T], limit: usize, value: impl Fn(&T) -> u64, line: impl Fn(&T) -> String, out: &mut Vec<String>) {
    out.extend(largest(items, value).into_iter().take(limit).map(|item| format!("  {}", line(item))));
    if items.len() > limit {
        out.push(format!("  and {} more", items.len() - limit));
    }
}

fn version(parts: &[u64]) -> String {
    parts.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// Warns of other copies of the library in the process.
fn libraries(libraries: &[Library], out: &mut Vec<String>) {
    if libraries.len() < 2 {
        return;
    }
    let copies = libraries.len();
    out.extend([
        String::new(),
        format!("{copies} copies of the library in this process; handles of one are stale in another:"),
    ]);
    for copy in libraries {
        let notes = match (copy.this, &copy.first_generation) {
            (true, _) => ", this report",
            (_, None) => ", has made no handle",
            _ => "",
        };
        let path = if copy.path.is_empty() { "unknown file" } else { &copy.path };
        out.push(format!("  {path}, version {}{notes}", version(&copy.version)));
    }
}

fn lines_of_pool(pool: &Pool, out: &mut Vec<String>) {
    let stats = &pool.stats;
    let unless_zero = |number: u64, text: String| if number > 0 { text } else { String::new() };
    out.push(format!(
        "pool \"{}\" on {}{}: {} in use, peak {}, {} from the system{}{}",
        pool.name,
        pool.device,
        if pool.released { ", released" } else { "" },
        size(stats.in_use_bytes),
        size(stats.peak_in_use_bytes),
        size(stats.reserved_bytes),
        unless_zero(stats.limit_bytes, format!(", limit {}", size(stats.limit_bytes))),
        unless_zero(stats.oom_count, format!(", {} ran out of memory", count(stats.oom_count, "request"))),
    ));
    for client in largest(&pool.clients, |client| client.live_bytes) {
        out.push(format!(
            "  {:<8}  {:>10} in {}, peak {}{}",
            client.name,
            size(client.live_bytes),
            count(client.live_blocks, "block"),
            size(client.peak_bytes),
            unless_zero(client.misuse_count, format!(", {} refused", count(client.misuse_count, "wrong free"))),
        ));
    }
}

/// The name of a pool, where there are several.
fn place(id: Option<u64>, pools: &Pools<'_>) -> Option<String> {
    let pool = pools.get(&id?).filter(|_| pools.len() > 1)?;
    Some(format!("in pool \"{}\"", pool.name))
}

fn line_of_store(store: &Store, pools: &Pools<'_>) -> String {
    let has = |flag: &str| store.flags.iter().any(|own| own == flag);
    let place = match store.pool {
        Some(_) => place(store.pool, pools).map_or(String::new(), |place| format!("; {place}")),
        None if has("file") => "; a mapped file".to_owned(),
        None if store.imports > 0 => "; of another library".to_owned(),
        None => String::new(),
    };
    let marks = store.flags.iter().filter(|flag| !["foreign", "file"].contains(&flag.as_str()));
    let marks: String = marks.map(|flag| format!("; {flag}")).collect();
    format!("{:>10}  {}{place}{marks}", size(store.bytes), holders(&store.holders))
}

/// The text of a kind of holders.
fn kind(kind: &str) -> String {
    let known = match kind {
        "handle" => "array",
        "export_read" => "exported read-only",
        "export_shared" => "shared with another library",
        "export_exclusive" => "exported exclusively",
        "guard_read" => "being read",
        "guard_write" => "being written",
        "weak" => "weak handle",
        "queued_release" => "release queued for run_releases",
        other => return other.replace('_', " "),
    };
    known.to_owned()
}

/// Lists holders; those of equal kind, name and site count as one. The most informative ones come first.
pub fn holders(all: &[Holder]) -> String {
    let mut groups: Vec<(&Holder, u64)> = Vec::new();
    let mut places = HashMap::new();
    for holder in all {
        let place = *places.entry((&holder.kind, &holder.name, &holder.site)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, number)) => *number += 1,
            None => groups.push((holder, 1)),
        }
    }
    groups.sort_by_key(|(holder, _)| (holder.kind != "handle", holder.name.is_empty(), holder.site.is_empty()));
    let mut known = HashSet::new();
    const MOST: usize = 6;
    let mut texts: Vec<String> = Vec::new();
    for (holder, number) in groups.iter().take(MOST) {
        let mut text = kind(&holder.kind);
        if *number > 1 {
            let is_noun = ["handle", "weak", "promise"].contains(&holder.kind.as_str());
            text = if is_noun { count(*number, &text) } else { format!("{number} times {text}") };
        }
        // Guards and exports have the name of their array, which is printed already.
        if known.insert(&holder.name) && !holder.name.is_empty() {
            text += &format!(" \"{}\"", holder.name);
        }
        // The site is a file of the library whose Python code made the export, or otherwise the line that called.
        if let Some(library) = library(&holder.site).filter(|_| holder.kind.starts_with("export")) {
            text = text.replace("another library", library);
        }
        if !holder.site.is_empty() {
            text += &format!(" at {}", holder.site);
        }
        texts.push(text);
    }
    let more = if groups.len() > MOST { format!(", and {} more", groups.len() - MOST) } else { String::new() };
    texts.join(", ") + &more
}

/// The installed package of Python that a file belongs to, if any.
fn library(site: &str) -> Option<&str> {
    let (_, rest) = site.rsplit_once("-packages/")?;
    rest.split_once('/').map(|(package, _)| package)
}

fn line_of_blocks(group: &Blocks, pools: &Pools<'_>) -> String {
    let who = match group.client.as_str() {
        "raw" | "any" => String::new(),
        client => format!(" of {client}"),
    };
    let place = place(group.pool, pools).map_or(String::new(), |place| format!(" {place}"));
    let site = if group.site.is_empty() { String::new() } else { format!(" at {}", group.site) };
    format!("{:>10} in {}{who}{place}{site}", size(group.bytes), count(group.blocks, "block"))
}

fn line_of_kept(kept: &SharedOut) -> String {
    let name = if kept.name.is_empty() { String::new() } else { format!(" \"{}\"", kept.name) };
    let mut importers = kept.importers.clone();
    importers.sort_unstable();
    // 0: nobody yet, for a file descriptor on its way.
    let who: Vec<String> = importers
        .iter()
        .map(|process| if *process > 0 { format!("process {process}") } else { "an open file descriptor".to_owned() })
        .collect();
    let who = if who.is_empty() { ", free at the next call".to_owned() } else { format!(": {}", who.join(", ")) };
    format!("{:>10}{name} on {}{who}", size(kept.bytes), kept.device)
}

fn line_of_mapped(mapped: &SharedIn) -> String {
    let state = match mapped.running {
        Some(true) => "",
        Some(false) => ", which has ended",
        None => ", of which nothing is known",
    };
    let access = if mapped.writable { "" } else { ", read-only" };
    format!("{:>10} of process {}{state}{access}", size(mapped.bytes), mapped.process)
}

fn line_of_copies(copies: &Copies) -> String {
    let why = match (copies.forced, copies.why.join(", ").replace('_', " ")) {
        (false, _) => "requested".to_owned(),
        (true, why) if why.is_empty() => "because of the caller".to_owned(),
        (true, why) => format!("because of {why}"),
    };
    let site = if copies.site.is_empty() { String::new() } else { format!(" at {}", copies.site) };
    format!("{:>10} in {}{site}: {}, {why}", size(copies.bytes), count(copies.count, "copy"), copies.function)
}
