//! `cargo xtask bench device-pool`: what device pools cost the host where much is pending, many streams are in use, or
//! blocks are very large.
//!
//! Promise: the library as it is released, on the simulated driver, in CPU time of the thread; the minimum over the
//! rounds. The driver's own calls take part only where a line says so.

use super::figures::{Figures, ROUNDS};
use xtask::run::compile;
use xtask::tools::{Done, command, copy_all, root};
use xtask::{dist, sim};

/// A case of `benches/device_pool.c` with its target.
struct Line {
    case: &'static str,
    what: &'static str,
    target_us: f64,
}

const LINES: &[Line] = &[
    Line {
        case: "miss_20000",
        what: "a miss with 20,000 pending blocks of two streams, driver included",
        target_us: 20.0,
    },
    Line { case: "hit_512", what: "allocate and free on a stream, 512 streams in the pool", target_us: 0.5 },
    Line { case: "cut_and_merge_gib_64", what: "cut 32 GiB off 64 GiB, and merge", target_us: 10.0 },
];

/// Recording behind many events may take this many times the time of recording behind one.
const RECORD_TIMES: f64 = 1.5;

/// Measures and prints.
pub fn bench() -> Done {
    let simulator = sim::stage()?;
    dist::libraries()?;
    copy_all(&root().join("include"), &dist::folder().join("include"))?;
    let program = root().join("target/benches/device_pool");
    compile("benches/device_pool.c", &program, &[])?;
    let mut figures = Figures::default();
    for _ in 0..ROUNDS {
        figures.take(command(&program).env("LD_LIBRARY_PATH", &simulator))?;
    }
    for case in figures.cases.keys() {
        println!("{case:<28} {:>12.1} ns", figures.minimum(case).unwrap_or(f64::NAN));
    }
    println!();
    let met = |holds: bool| if holds { "met" } else { "NOT MET" };
    for Line { case, what, target_us } in LINES {
        let us = figures.minimum(case).ok_or_else(|| format!("no figure of {case}"))? / 1000.0;
        println!("{what}: {us:.2} us, target {target_us} us: {}", met(us <= *target_us));
    }
    let of = |case: &str| figures.minimum(case).ok_or_else(|| format!("no figure of {case}"));
    let times = of("record_4096")? / of("record_1")?;
    println!(
        "recording an event behind 4096, beside one: {times:.2} times, target {RECORD_TIMES}: {}",
        met(times <= RECORD_TIMES)
    );
    Ok(())
}
