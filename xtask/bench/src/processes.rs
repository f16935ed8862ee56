//! `cargo xtask bench processes`: arrays handed over to another process, beside the ways that Python has for that.
//!
//! Promise: the wheel as it is released; the minimum over the rounds. A hand-over by `multiprocessing` has the cost of
//! its transport, so the bar of IP-27 is for the library's two calls alone.

use super::figures::Figures;
use xtask::python;
use xtask::tools::{Done, command, root};

/// Export and import may take this many us.
const TARGET_US: f64 = 50.0;
/// Those of 1 GiB may take this many times those of 4 KiB.
const TIMES: f64 = 2.0;
/// A frame of a shareable pool may take this many times one of a plain pool.
const FRAME_TIMES: f64 = 1.3;
const ROUNDS: usize = 3;

/// Measures and prints.
pub fn bench() -> Done {
    let python = python::installed_with_most()?;
    let mut figures = Figures::default();
    for _ in 0..ROUNDS {
        figures.take(command(&python).arg(root().join("benches/processes.py")))?;
    }
    for case in figures.cases.keys() {
        println!("{case:<24} {:>12.1} us", figures.minimum(case).unwrap_or(f64::NAN));
    }
    let of = |case: &str| figures.minimum(case).ok_or_else(|| format!("no figure of {case}"));
    let (small, large) = (of("4 KiB library")?, of("1 GiB library")?);
    let met = |holds: bool| if holds { "met" } else { "NOT MET" };
    println!("\nexport and import of 4 KiB: {small:.1} us, target {TARGET_US:.0} us: {}", met(small <= TARGET_US));
    println!("those of 1 GiB: {:.1} times, target {TIMES:.0} times: {}", large / small, met(large <= TIMES * small));
    for (case, what) in [("frame shareable", "a frame of a shareable pool"), ("frame exported", "one that is exported")]
    {
        let times = of(case)? / of("frame plain")?;
        println!("{what}: {times:.2} times, target {FRAME_TIMES} times: {}", met(times <= FRAME_TIMES));
    }
    Ok(())
}
