//! The bars of the host pools: which figures are compared, and whether the bar holds.
//!
//! Promise: each bar is a ratio of minima of one run, or a number of bytes. A bar whose peer or case was not measured
//! says so and counts as neither met nor missed.

use super::cases::{self, Case, Unit as CaseUnit};
use super::figures::Figures;
use super::record::Record;
use std::collections::BTreeMap;

/// The figures of one run, by peer.
pub type Run = BTreeMap<&'static str, Figures>;

/// The figure that a bar compares with.
#[derive(Clone, Copy)]
pub enum Against {
    /// The peer's figures for the same cases.
    Peer(&'static str),
    /// The peer's figure for another case.
    Other(&'static str, &'static str),
    /// Tenure's figure for another case.
    Own(&'static str),
    /// The best of all peers except UMF.
    Best,
    /// A number with a unit.
    Unit(&'static str),
}

pub struct Bar {
    pub bar: &'static str,
    pub name: &'static str,
    /// The program that measures it.
    pub ours: &'static str,
    /// The cases; the figure is their geometric mean.
    pub cases: &'static [&'static str],
    pub against: Against,
    pub limit: Limit,
}

#[derive(Clone, Copy)]
pub enum Limit {
    /// Tenure's figure is at most this multiple of the peer's.
    Most(f64),
    /// The peer's figure is at least this multiple of Tenure's.
    Faster(f64),
}

use Against::{Best, Other, Own, Peer, Unit};
use Limit::{Faster, Most};

/// The small block sizes of T1 and T2.
pub const SMALL: &[&str] = &[
    "alloc.lone_16",
    "alloc.lone_64",
    "alloc.lone_256",
    "alloc.lone_4096",
    "alloc.batch_64",
    "alloc.batch_mixed",
    "alloc.order_64_lifo",
    "alloc.order_64_shuffled",
    "alloc.order_mixed_lifo",
    "alloc.order_mixed_shuffled",
];

const fn bar(
    bar: &'static str,
    name: &'static str,
    ours: &'static str,
    cases: &'static [&'static str],
    against: Against,
    limit: Limit,
) -> Bar {
    Bar { bar, name, ours, cases, against, limit }
}

const HANDLE: &str = "tenure";
const DOOR: &str = "tenure-malloc";
const MI3: Against = Peer("mimalloc3");
const GLIBC: Against = Peer("glibc");

pub const BARS: &[Bar] = &[
    bar("T1", "small blocks, by malloc", DOOR, SMALL, MI3, Most(1.1)),
    bar("T1", "small blocks, by handle", HANDLE, SMALL, MI3, Most(1.3)),
    bar("T2", "lone block, 16 B", HANDLE, &["alloc.lone_16"], MI3, Most(3.0)),
    bar("T2", "lone block, 64 B", HANDLE, &["alloc.lone_64"], MI3, Most(3.0)),
    bar("T2", "lone block, 256 B", HANDLE, &["alloc.lone_256"], MI3, Most(3.0)),
    bar("T2", "lone block, 4 KiB", HANDLE, &["alloc.lone_4096"], MI3, Most(3.0)),
    bar("T2", "100 blocks, 64 B", HANDLE, &["alloc.batch_64"], MI3, Most(2.0)),
    bar("T2", "100 blocks, 8-4096 B", HANDLE, &["alloc.batch_mixed"], MI3, Most(2.0)),
    bar("T2", "10 000 blocks, 8-4096 B, in order", HANDLE, &["alloc.order_mixed_lifo"], MI3, Most(0.6)),
    bar("T2", "10 000 blocks, 8-4096 B, shuffled", HANDLE, &["alloc.order_mixed_shuffled"], MI3, Most(0.6)),
    bar("T3", "64 KiB, one byte touched", HANDLE, &["alloc.large_64k"], GLIBC, Most(1.0)),
    bar("T3", "1 MiB, one byte touched", HANDLE, &["alloc.large_1m"], GLIBC, Most(1.0)),
    bar("T3", "64 MiB, one byte touched", HANDLE, &["alloc.large_64m"], GLIBC, Most(0.02)),
    bar("T4", "one allocates, one frees, 64 B", HANDLE, &["threads.pass_64"], MI3, Most(1.0)),
    bar("T4", "one allocates, one frees, 4 KiB", HANDLE, &["threads.pass_4096"], MI3, Most(1.0)),
    bar("T4", "two threads, own 64 B blocks", HANDLE, &["threads.own_2"], Own("threads.own_1"), Most(1.1)),
    bar("T5", "peak / live: small", HANDLE, &["memory.small.peak"], Unit("times"), Most(1.10)),
    bar("T5", "peak / live: mixed", HANDLE, &["memory.mixed.peak"], Unit("times"), Most(1.15)),
    bar("T5", "peak / live: arrays", HANDLE, &["memory.arrays.peak"], Unit("times"), Most(1.08)),
    bar("T6", "at 40 %, trimmed: small", HANDLE, &["memory.small.trimmed"], Unit("times"), Most(1.3)),
    bar("T6", "at 40 %, trimmed: mixed", HANDLE, &["memory.mixed.trimmed"], Unit("times"), Most(1.2)),
    bar("T6", "at 40 %, trimmed: arrays", HANDLE, &["memory.arrays.trimmed"], Unit("times"), Most(1.05)),
    bar("T6", "at 40 %, no trim: small", HANDLE, &["memory.small.fall"], Best, Most(1.0)),
    bar("T6", "at 40 %, no trim: mixed", HANDLE, &["memory.mixed.fall"], Best, Most(1.0)),
    bar("T6", "at 40 %, no trim: arrays", HANDLE, &["memory.arrays.fall"], Unit("times"), Most(1.30)),
    bar("T26", "arrays made, written and dropped", HANDLE, &["mixes.arrays"], Best, Most(1.5)),
    bar("T27", "random replacement: mixed", HANDLE, &["memory.mixed.ns"], Best, Most(2.0)),
    bar("T27", "random replacement: arrays", HANDLE, &["memory.arrays.ns"], Best, Most(2.0)),
    bar("T28", "resident / live: mix of arrays", HANDLE, &["mixes.arrays.resident"], Unit("times"), Most(1.4)),
    bar("T29", "a second after the fall to 40 %: small", HANDLE, &["memory.small.fall"], Unit("times"), Most(1.9)),
    bar("T29", "a second after the fall to 40 %: mixed", HANDLE, &["memory.mixed.fall"], Unit("times"), Most(1.45)),
    bar("T30", "arrays: 99.9 % of the calls", HANDLE, &["mixes.arrays.longest"], Unit("ns"), Most(1e6)),
    bar("T7", "left after free-all and trim: small", HANDLE, &["memory.small.left"], Unit("% of peak"), Most(0.1)),
    bar("T7", "left after free-all and trim: mixed", HANDLE, &["memory.mixed.left"], Unit("% of peak"), Most(0.1)),
    bar("T7", "left after free-all and trim: arrays", HANDLE, &["memory.arrays.left"], Unit("% of peak"), Most(0.1)),
    bar(
        "T8",
        "64 MiB array, second time",
        HANDLE,
        &["touch.array_again_64m"],
        Other("glibc", "touch.again_64m"),
        Faster(100.0),
    ),
    bar(
        "T9",
        "fresh 256 MiB, beside huge pages by hand",
        HANDLE,
        &["touch.fresh_256m"],
        Own("touch.by_hand_256m"),
        Most(1.1),
    ),
    bar("T9", "fresh 256 MiB, beside glibc", HANDLE, &["touch.fresh_256m"], GLIBC, Most(0.15)),
    bar("T10", "zeros of fresh 256 MiB, untouched", HANDLE, &["touch.zeros_fresh"], Unit("ns"), Most(50e3)),
    bar("T10", "bytes of these zeros that are resident", HANDLE, &["touch.zeros_resident"], Unit("bytes"), Most(0.0)),
    bar(
        "T10",
        "zeros of recycled memory, beside memset",
        HANDLE,
        &["touch.zeros_again"],
        Own("touch.memset"),
        Faster(0.95),
    ),
];

/// The geometric mean of the minima, or None if a case was not measured.
pub fn mean(figures: &Figures, cases: &[&str]) -> Option<f64> {
    let logs: Option<Vec<f64>> = cases.iter().map(|case| figures.minimum(case).map(f64::ln)).collect();
    let logs = logs?;
    if let [one] = cases {
        return figures.minimum(one); // a minimum may be 0, whose logarithm is infinite
    }
    Some((logs.iter().sum::<f64>() / logs.len() as f64).exp())
}

/// UMF's pools use the least memory and are many times slower than all others, so the bars exclude them.
fn counts_as_best(name: &str) -> bool {
    !name.starts_with("umf") && !name.starts_with("tenure")
}

impl Bar {
    /// The verdict in this run.
    pub fn record(&self, run: &Run) -> Record {
        let ours = run.get(self.ours);
        let value = ours.and_then(|figures| mean(figures, self.cases));
        let median = match self.cases {
            [one] => ours.and_then(|figures| figures.median(one)),
            _ => None,
        };
        let case = self.cases[0];
        let (peer, peer_value) = match self.against {
            Peer(name) => (name, run.get(name).and_then(|figures| mean(figures, self.cases))),
            Other(name, other) => (name, run.get(name).and_then(|figures| figures.minimum(other))),
            Own(other) => (other, ours.and_then(|figures| figures.minimum(other))),
            Best => {
                let others = run.iter().filter(|(name, _)| counts_as_best(name));
                let figures = others.filter_map(|(name, figures)| Some((*name, figures.minimum(case)?)));
                match figures.min_by(|(_, one), (_, other)| one.total_cmp(other)) {
                    Some((name, least)) => (name, Some(least)),
                    None => ("the best peer", None),
                }
            }
            Unit(unit) => (unit, None),
        };
        let ratio = value.zip(peer_value).map(|(value, peer)| value / peer);
        let (target, met) = match (self.against, self.limit) {
            (Unit(unit), Most(limit) | Faster(limit)) => {
                (format!("<= {limit} {unit}"), value.map(|value| value <= limit))
            }
            (_, Most(limit)) => (format!("<= {limit}"), ratio.map(|ratio| ratio <= limit)),
            (_, Faster(limit)) => (format!(">= {limit} x faster"), ratio.map(|ratio| 1.0 / ratio >= limit)),
        };
        let note = match (value, met) {
            (None, _) => format!("{} was not measured", self.ours),
            (_, None) => format!("{peer} was not measured"),
            _ => String::new(),
        };
        let unit = match self.against {
            Unit(unit) => unit,
            _ => cases::all().find(|known| known.id == case).map_or(CaseUnit::Ns, |known| known.unit).name(),
        };
        let version = run.get(peer).map_or(String::new(), |figures| figures.fact("version").to_owned());
        Record {
            name: format!("{} [{}]", self.name, self.ours),
            bar: self.bar.to_owned(),
            value,
            median,
            unit,
            peer: if matches!(self.against, Unit(_)) { String::new() } else { peer.to_owned() },
            peer_version: version,
            peer_value,
            peer_median: None,
            ratio,
            pairs: None,
            target,
            met,
            note,
        }
    }
}

/// The results of a bar over all runs.
pub struct Verdict {
    pub records: Vec<Record>,
}

impl Verdict {
    /// In how many runs it held; None if it was never measured.
    pub fn held(&self) -> Option<usize> {
        let known: Option<Vec<bool>> = self.records.iter().map(|record| record.met).collect();
        known.map(|known| known.iter().filter(|met| **met).count())
    }

    /// "met" or "NOT MET", and for several runs in how many it held.
    pub fn text(&self) -> String {
        let runs = self.records.len();
        match self.held() {
            None => "-".to_owned(),
            Some(held) => {
                let met = if held == runs { "met" } else { "NOT MET" };
                if runs == 1 { met.to_owned() } else { format!("{met}, {held} of {runs}") }
            }
        }
    }
}

/// The results of all bars.
pub fn verdicts(runs: &[Run]) -> Vec<Verdict> {
    BARS.iter().map(|bar| Verdict { records: runs.iter().map(|run| bar.record(run)).collect() }).collect()
}

/// Records of several runs, which have the same bars in the same order.
pub fn by_bar(runs: Vec<Vec<Record>>) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = Vec::new();
    for (at, record) in runs.into_iter().flat_map(|run| run.into_iter().enumerate()) {
        match verdicts.get_mut(at) {
            Some(verdict) => verdict.records.push(record),
            None => verdicts.push(Verdict { records: vec![record] }),
        }
    }
    verdicts
}

/// All runs merged into one.
pub fn together(runs: &[Run]) -> Run {
    let mut all = Run::new();
    for (name, figures) in runs.iter().flatten() {
        let sum: &mut Figures = all.entry(name).or_default();
        sum.facts.extend(figures.facts.clone());
        for (case, rounds) in &figures.cases {
            sum.cases.entry(case.clone()).or_default().extend(rounds);
        }
    }
    all
}

/// A case of Tenure beside an allocator's, without a bar; None if it was not measured.
pub fn beside(run: &Run, case: &Case, name: &str) -> Option<Record> {
    let (ours, theirs) = (run.get(HANDLE), run.get(name)?);
    let value = ours.and_then(|figures| figures.minimum(case.id));
    let peer_value = theirs.minimum(case.id)?;
    Some(Record {
        name: case.id.to_owned(),
        bar: String::new(),
        value,
        median: ours.and_then(|figures| figures.median(case.id)),
        unit: case.unit.name(),
        peer: name.to_owned(),
        peer_version: theirs.fact("version").to_owned(),
        peer_value: Some(peer_value),
        peer_median: theirs.median(case.id),
        ratio: value.map(|value| value / peer_value).filter(|ratio| ratio.is_finite()),
        pairs: None,
        target: String::new(),
        met: None,
        note: String::new(),
    })
}

/// A case in which an allocator is more than twice as good as Tenure.
pub struct Behind {
    pub case: &'static Case,
    pub ours: f64,
    pub by_malloc: Option<f64>,
    pub peer: &'static str,
    pub best: f64,
}

/// A case in which allocators do different work: some return freshly mapped memory, which costs time when it is
/// touched.
const UNLIKE: &[&str] = &["touch.zeros_again", "touch.memset"];

/// All bars, in the order of the tables.
pub fn behind(run: &Run) -> Vec<Behind> {
    let figure = |name: &str, case: &Case| run.get(name)?.minimum(case.id);
    let compared =
        |case: &&Case| !UNLIKE.contains(&case.id) && !matches!(case.unit, CaseUnit::Percent | CaseUnit::Bytes);
    let far = |case: &'static Case| {
        let others = run.keys().filter(|name| !name.starts_with("tenure"));
        let figures = others.filter_map(|name| Some((*name, figure(name, case)?)));
        let (peer, best) = figures.min_by(|(_, one), (_, other)| one.total_cmp(other))?;
        let ours = figure(HANDLE, case).filter(|ours| *ours > 2.0 * best)?;
        Some(Behind { case, ours, by_malloc: figure(DOOR, case), peer, best })
    };
    cases::all().filter(compared).filter_map(far).collect()
}
