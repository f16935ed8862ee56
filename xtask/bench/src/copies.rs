//! `cargo xtask bench copy` and `bench strided`: bars T11 to T14, and clearing (PH-15).
//!
//! Promise: a ratio is one of speeds, the peer's least time divided by Tenure's, from one run. A missing peer makes a
//! line that says so.

use super::figures::Figures;
use super::record::Record;
use std::path::Path;
use xtask::run::compile;
use xtask::tools::{Done, copy_all, root};
use xtask::{dist, python};

/// The sizes, as the program and as the table name them.
const SIZES: [(&str, &str); 3] = [("64k", "64 KiB"), ("4m", "4 MiB"), ("256m", "256 MiB")];

/// Tenure against the fastest of some others. `least`: the ratio that the bar asks for; None if it is shown without a
/// bar.
struct Bar<'a> {
    bar: &'static str,
    name: String,
    ours: f64,
    /// Names and least times.
    peers: Vec<(&'a str, Option<f64>)>,
    version: String,
    least: Option<f64>,
}

impl Bar<'_> {
    fn record(self, median: Option<f64>) -> Record {
        let fastest = self.peers.iter().filter_map(|(name, time)| Some((*name, (*time)?)));
        let fastest = fastest.min_by(|a, b| a.1.total_cmp(&b.1));
        let all: Vec<&str> = self.peers.iter().map(|(name, _)| *name).collect();
        let ratio = fastest.map(|(_, time)| time / self.ours);
        Record {
            name: self.name,
            bar: self.bar.to_owned(),
            value: Some(self.ours),
            median,
            unit: "ns",
            peer: fastest.map_or(all.join(", "), |(name, _)| name.to_owned()),
            peer_version: self.version,
            peer_value: fastest.map(|(_, time)| time),
            peer_median: None,
            ratio,
            pairs: None,
            target: self.least.map_or("-".to_owned(), |least| format!(">= {least} x speed")),
            met: self.least.zip(ratio).map(|(least, ratio)| ratio >= least),
            note: if fastest.is_some() { String::new() } else { format!("skipped: no {}", all.join(", ")) },
        }
    }
}

/// A case that the program did not print is a bug of this module.
fn measured(figures: &Figures, case: &str) -> Done<f64> {
    figures.minimum(case).ok_or_else(|| format!("no figure of {case}"))
}

/// Plain arrays, in C.
pub fn copy() -> Done<Vec<Record>> {
    dist::libraries()?;
    copy_all(&root().join("include"), &dist::folder().join("include"))?;
    let program = root().join("target/benches/copy");
    compile("benches/copy.c", &program, &[])?;
    let figures = Figures::measure(&program, &[])?;
    let glibc = format!("glibc {}", figures.fact("glibc"));
    let mut lines = Vec::new();
    for (size, words) in SIZES {
        let case = |name: &str| format!("{name}_{size}");
        let peers = |names: &[(&'static str, &str)]| -> Vec<(&'static str, Option<f64>)> {
            names.iter().map(|(shown, name)| (*shown, figures.minimum(&case(name)))).collect()
        };
        let mut line = |bar, name: &str, ours: &str, peers, least| -> Done {
            let (name, ours, median) = (format!("{name}, {words}"), measured(&figures, &case(ours))?, case(ours));
            let bar = Bar { bar, name, ours, peers, version: glibc.clone(), least };
            lines.push(bar.record(figures.median(&median)));
            Ok(())
        };
        let best = peers(&[("memcpy", "memcpy"), ("streaming stores", "streamed"), ("rep movsb", "rep_movsb")]);
        let cleared = peers(&[("memset", "memset"), ("rep stosb", "rep_stosb")]);
        if size == "256m" {
            line("T11", "tn_array_copy_into", "tenure", peers(&[("memcpy", "memcpy")]), Some(1.35))?;
            line("T11", "tn_array_copy_into", "tenure", best, None)?;
        } else {
            line("T11", "tn_array_copy_into", "tenure", best, Some(0.95))?;
        }
        line("PH", "tn_array_clear", "tenure_zero", cleared, Some(0.95))?;
        if figures.minimum(&case("tenure_two")).is_some() {
            let one = peers(&[("one thread", "tenure"), ("one thread", "tenure_beside_two")]);
            line("T12", "the same on two threads", "tenure_two", one, (size == "4m").then_some(1.6))?;
        }
    }
    Ok(lines)
}

/// The copies, and the peers with which each has a bar: (case, words, (peers, least)).
type Case = (&'static str, &'static str, &'static [(&'static [&'static str], f64)]);

const EACH: &[(&[&str], f64)] = &[(&["numpy", "torch"], 1.0)];
const TRANSPOSE: &[(&[&str], f64)] = &[(&["memcpy"], 0.5), (&["torch"], 1.2)];
const PERMUTE: &[(&[&str], f64)] = &[(&["numpy"], 5.0), (&["torch"], 5.0)];
const CASES: [Case; 10] = [
    ("transpose_f8", "transpose 4096 x 4096 f64", TRANSPOSE),
    ("transpose_f4", "transpose 4096 x 4096 f32", TRANSPOSE),
    ("transpose_u1", "transpose 4096 x 4096 u8", TRANSPOSE),
    ("permute_201", "permute (2,0,1) of 256^3 f64", PERMUTE),
    ("permute_102", "permute (1,0,2) of 256^3 f64", EACH),
    ("gather", "every second f64 of 16 Mi, gather", EACH),
    ("scatter", "every second f64 of 16 Mi, scatter", EACH),
    ("rows_2048", "rows of 2048 f64", EACH),
    ("rows_4", "rows of 4 f64", EACH),
    ("reversed", "reversed, 8 Mi f64", EACH),
];

/// Strided arrays, in Python, on 4 KiB pages and on huge pages.
pub fn strided() -> Done<Vec<Record>> {
    let python = python::installed_with_most()?;
    let script = root().join("benches/strided.py");
    let mut lines = Vec::new();
    for (pages, words) in [("small", ""), ("huge", ", huge pages")] {
        let figures = Figures::measure(&python, &[&script, Path::new(pages)])?;
        let version = |who: &str| match who {
            "memcpy" => "the C library's".to_owned(),
            who => figures.fact(who).to_owned(),
        };
        for (who, least) in [("numpy", 2.0), ("torch", 1.2)] {
            lines.push(mean(&figures, who, least, words, version(who)));
        }
        for (case, name, bars) in CASES {
            let ours = format!("{case}_tenure");
            for (peers, least) in bars {
                let times = peers.iter().map(|who| (*who, figures.minimum(&format!("{case}_{who}")))).collect();
                let bar = Bar {
                    bar: "T14",
                    name: format!("{name}{words}"),
                    ours: measured(&figures, &ours)?,
                    peers: times,
                    version: version(peers[0]),
                    least: Some(*least),
                };
                lines.push(bar.record(figures.median(&ours)));
            }
        }
    }
    Ok(lines)
}

/// Geometric means of Tenure's times and of the peer's, over the cases that the peer can do, or over all if it is
/// missing.
fn mean(figures: &Figures, who: &'static str, least: f64, words: &str, version: String) -> Record {
    let time = |case: &str, who: &str| figures.minimum(&format!("{case}_{who}"));
    let there = CASES.iter().any(|(case, ..)| time(case, who).is_some());
    let cases = || CASES.iter().map(|(case, ..)| *case).filter(|case| !there || time(case, who).is_some());
    let mean = |who: &str| {
        let logs: Vec<f64> = cases().filter_map(|case| time(case, who)).map(f64::ln).collect();
        (logs.iter().sum::<f64>() / logs.len() as f64).exp()
    };
    let bar = Bar {
        bar: "T13",
        name: format!("geometric mean of the cases{words}"),
        ours: mean("tenure"),
        peers: vec![(who, there.then(|| mean(who)))],
        version,
        least: Some(least),
    };
    bar.record(None)
}
