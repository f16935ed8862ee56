//! `cargo xtask bench launch`: what a launch that borrows its arguments costs the host, beside the driver's own launch.
//!
//! Promise: the library as it is released, in CPU time of the thread, minima over the rounds. The bar is for a driver
//! whose calls take a few nanoseconds, so that the library alone is measured; the simulated driver's calls take part in
//! its figures.

use super::figures::{Figures, ROUNDS};
use std::path::PathBuf;
use xtask::run::compile;
use xtask::tools::{Done, command, copy_all, root};
use xtask::{dist, sim};

/// The most ns that a launch with 6 arrays may take beside the driver's own, on a machine where a compare-exchange pair
/// takes 10 ns or less.
const TARGET_NS: f64 = 300.0;
const PAIR_NS: f64 = 10.0;
/// The most ns that a guard with a stream may take, with its view for a kernel and its end.
const GUARD_NS: f64 = 60.0;
/// Guards of the case `borrows`.
const GUARDS: f64 = 6.0;
/// The most calls of the driver in one launch.
const MOST_CALLS: f64 = 3.0;

/// Measures and prints.
pub fn bench() -> Done {
    let simulator = sim::stage()?;
    dist::libraries()?;
    copy_all(&root().join("include"), &dist::folder().join("include"))?;
    let folder = root().join("target/benches/launch");
    let program = folder.join("launch");
    compile("benches/launch.c", &program, &[])?;
    compile("benches/launch_driver.c", &folder.join("driver/libcuda.so.1"), &["-shared", "-fPIC", "-w"])?;
    let measure = |driver: PathBuf| {
        let mut figures = Figures::default();
        for _ in 0..ROUNDS {
            figures.take(command(&program).env("LD_LIBRARY_PATH", &driver))?;
        }
        Done::Ok(figures)
    };
    let (bare, simulated) = (measure(folder.join("driver"))?, measure(simulator)?);
    for (name, figures) in [("driver without a device", &bare), ("simulated driver", &simulated)] {
        println!("{name}");
        for case in figures.cases.keys() {
            println!("  {case:<20} {:>10.1}", figures.minimum(case).unwrap_or(f64::NAN));
        }
    }
    let of = |figures: &Figures, case: &str| figures.minimum(case).ok_or_else(|| format!("no figure of {case}"));
    let overhead = of(&bare, "launch")? - of(&bare, "raw")?;
    let scaled = |ns: f64, figures: &Figures| Done::Ok(ns * (of(figures, "compare_exchange")? / PAIR_NS).max(1.0));
    let target = scaled(TARGET_NS, &bare)?;
    let calls = of(&simulated, "driver_calls")?;
    let met = |holds: bool| if holds { "met" } else { "NOT MET" };
    println!(
        "\na launch with 6 arrays, beside the driver's own: {overhead:.0} ns, target {target:.0} ns: {}",
        met(overhead <= target)
    );
    let guard = (of(&simulated, "borrows")? - of(&simulated, "raw")?) / GUARDS;
    let target = scaled(GUARD_NS, &simulated)?;
    println!(
        "a guard with a stream, its view and its end, simulated driver: {guard:.0} ns, target {target:.0} ns: {}",
        met(guard <= target)
    );
    println!("calls of the driver in a launch: {calls:.0}, target {MOST_CALLS:.0}: {}", met(calls <= MOST_CALLS));
    Ok(())
}
