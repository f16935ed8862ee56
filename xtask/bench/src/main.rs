//! The commands that measure: `cargo xtask bench`, `replay` and `soak pool`.
//!
//! `bench`: Tenure and other libraries, measured in one run on the staged library.
//!
//! Promise: a process per round and at least five rounds, which go through the cases forwards and backwards in turn. A
//! result is the minimum per case; a ratio is one of minima from one run. A case that this machine cannot measure is a
//! line with the reason.

mod bars;
mod cases;
mod copies;
mod device_pool;
mod events;
mod figures;
mod instructions;
mod launch;
mod mpi;
mod operators;
mod peers;
mod performance;
mod plot;
mod pool;
mod processes;
mod programs;
mod record;
mod replay;
mod scale;
mod soak;
mod terminal;

use figures::{Figures, ROUNDS};
use record::Record;
use std::process::ExitCode;
use xtask::run::compile;
use xtask::tools::{self, Done, read, root};
use xtask::{dist, python};

/// The arguments are those of `cargo xtask`.
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    tools::ended(match arguments.as_slice() {
        ["replay", rest @ ..] => replay::replay(rest),
        ["soak", "pool"] => soak::pool("10"),
        ["soak", "pool", "--draw"] => soak::draw(),
        ["soak", "pool", minutes] => soak::pool(minutes),
        ["bench", rest @ ..] => bench(rest),
        wrong => Err(format!("there is no `cargo xtask {}`", wrong.join(" "))),
    })
}

/// The condition that a bar sets.
#[derive(Clone, Copy)]
enum Target {
    /// At most this many ns on a machine where a compare-exchange pair takes 10 ns or less, in proportion elsewhere;
    /// and at most this multiple of the peer's time.
    Ns(f64, Option<f64>),
    /// At most this multiple of the peer's time.
    Times(f64),
    /// At least this number.
    AtLeast(f64),
}

/// A line of the result, with its condition.
struct Bar {
    bar: &'static str,
    name: &'static str,
    case: &'static str,
    target: Target,
    /// The case to compare with.
    peer: &'static str,
}

const PAIR: &str = "compare_exchange";

const fn bar(bar: &'static str, name: &'static str, case: &'static str, target: Target) -> Bar {
    Bar { bar, name, case, target, peer: PAIR }
}

const fn view(name: &'static str, case: &'static str) -> Bar {
    bar("T18", name, case, Target::Ns(40.0, None))
}

const fn beside_numpy(name: &'static str, case: &'static str, peer: &'static str) -> Bar {
    Bar { peer, ..bar("T20", name, case, Target::Times(1.5)) }
}

/// A way to exchange arrays with NumPy, beside NumPy's own function.
const fn beside_numpys_own(name: &'static str, case: &'static str, peer: &'static str) -> Bar {
    Bar { peer, ..bar("T32", name, case, Target::Times(1.5)) }
}

/// A way to pass an array, beside the other library's way to pass one to itself.
const fn exchange_bar(name: &'static str, case: &'static str, peer: &'static str) -> Bar {
    Bar { peer, ..bar("exchange", name, case, Target::Times(1.5)) }
}

const OBJECTS: &[Bar] = &[
    Bar { peer: "malloc_free", ..bar("T15", "create + release, 8 f64", "create", Target::Ns(40.0, Some(7.0))) },
    bar("T16", "borrow_read + end", "borrow_read", Target::Ns(20.0, Some(2.2))),
    bar("T16", "borrow_write + end", "borrow_write", Target::Ns(20.0, Some(2.2))),
    bar("T16", "borrow_write that discards + end", "borrow_overwrite", Target::Ns(20.0, Some(2.2))),
    bar("T17", "give + take + both releases", "give_take", Target::Ns(40.0, None)),
    bar("OO", "enter + leave, 4 parameters", "enter_leave", Target::Ns(150.0, None)),
    bar("SV-22", "shared_get, raw and borrowed + release", "shared_get", Target::Ns(60.0, None)),
    bar("FN-43", "call: 4 inputs, 2 outputs, 2 updates", "function_call", Target::Ns(500.0, None)),
    bar("T18", "clone + release", "clone", Target::Ns(30.0, None)),
    view("reshape + release", "reshape"),
    view("ravel + release", "ravel"),
    view("transpose + release", "transpose"),
    view("permute + release", "permute"),
    view("slice + release", "slice"),
    view("index + release", "index"),
    view("squeeze + release", "squeeze"),
    view("expand + release", "expand"),
    view("broadcast + release", "broadcast"),
    view("view_dtype + release", "view_dtype"),
    bar("T19", "DLPack export + deleter", "dlpack_export", Target::Ns(60.0, None)),
    bar("T19", "DLPack import + release", "dlpack_import", Target::Ns(80.0, None)),
    Bar { peer: "borrow_read", ..bar("T21", "borrow_read + end, each of 2 threads", "threads_2", Target::Times(5.0)) },
    bar("T21", "slowest of 2 threads, part of the mean", "slowest_of_2", Target::AtLeast(0.5)),
    Bar {
        peer: "borrow_read",
        ..bar("T21", "borrow_read + end, each of 16 threads", "threads_16", Target::Times(5.0))
    },
    bar("T21", "slowest of 16 threads, part of the mean", "slowest_of_16", Target::AtLeast(0.5)),
];

/// NumPy with Tenure's handler beside NumPy with its own: makes and drops an array.
const fn handled(name: &'static str, case: &'static str, peer: &'static str) -> Bar {
    Bar { peer, ..bar("T31", name, case, Target::Times(1.1)) }
}

const fn handled_zeros(name: &'static str, case: &'static str, peer: &'static str) -> Bar {
    Bar { bar: "AL", ..handled(name, case, peer) }
}

const PYTHON: &[Bar] = &[
    beside_numpy("tenure.empty((8,))", "tenure_empty", "numpy_empty"),
    beside_numpy("x[2:6]", "tenure_slice", "numpy_slice"),
    beside_numpy("np.from_dlpack(ours)", "tenure_dlpack", "numpy_dlpack"),
    beside_numpys_own("np.asarray(ours)", "tenure_buffer", "numpy_buffer"),
    beside_numpys_own("tenure.from_dlpack(NumPy's)", "tenure_from_numpy", "numpy_dlpack"),
    beside_numpys_own("tenure.asarray(NumPy's)", "tenure_asarray", "numpy_dlpack"),
    exchange_bar("tenure.from_dlpack(PyTorch's)", "tenure_from_torch", "torch_dlpack"),
    exchange_bar("torch.from_dlpack(ours)", "torch_from_tenure", "torch_dlpack"),
    exchange_bar("tenure.to_torch(ours)", "tenure_to_torch", "torch_dlpack"),
    Bar { peer: "numpy_sum", ..bar("T34", "e + e, of expressions", "tenure_node", Target::Ns(3000.0, None)) },
    Bar { peer: "numpy_sum", ..bar("T34", "m + d, of matrices: three nodes", "tenure_sum", Target::Ns(9000.0, None)) },
    Bar { peer: "numpy_step", ..bar("FN", "training step, new weights", "tenure_step", Target::Times(1.5)) },
    Bar {
        peer: "numpy_step_in_place",
        ..bar("FN", "training step, in place", "tenure_step_in_place", Target::Times(1.5))
    },
    handled("np.empty on our pool, 1 KiB", "tenure_np_empty_1k", "default_np_empty_1k"),
    handled("np.empty on our pool, 16 KiB", "tenure_np_empty_16k", "default_np_empty_16k"),
    handled("np.empty on our pool, 64 KiB", "tenure_np_empty_64k", "default_np_empty_64k"),
    handled("np.empty on our pool, 256 KiB", "tenure_np_empty_256k", "default_np_empty_256k"),
    handled("np.empty on our pool, 1 MiB", "tenure_np_empty_1m", "default_np_empty_1m"),
    handled("np.empty on our pool, 2 MiB", "tenure_np_empty_2m", "default_np_empty_2m"),
    handled("np.empty on our pool, 4 MiB", "tenure_np_empty_4m", "default_np_empty_4m"),
    handled("np.empty on our pool, 16 MiB", "tenure_np_empty_16m", "default_np_empty_16m"),
    handled("np.empty on our pool, 64 MiB", "tenure_np_empty_64m", "default_np_empty_64m"),
    handled_zeros("np.zeros on our pool, 1 KiB", "tenure_np_zeros_1k", "default_np_zeros_1k"),
    handled_zeros("np.zeros on our pool, 64 KiB", "tenure_np_zeros_64k", "default_np_zeros_64k"),
    handled_zeros("np.zeros on our pool, 1 MiB", "tenure_np_zeros_1m", "default_np_zeros_1m"),
    handled_zeros("np.zeros on our pool, 16 MiB", "tenure_np_zeros_16m", "default_np_zeros_16m"),
    handled_zeros("np.zeros on our pool, 64 MiB", "tenure_np_zeros_64m", "default_np_zeros_64m"),
];

const fn solved(name: &'static str, case: &'static str, peer: &'static str, times: f64) -> Bar {
    Bar { peer, ..bar("EX", name, case, Target::Times(times)) }
}

/// A + D, its factor and solutions with it, at four sizes. The peers are NumPy, which copies, and SciPy, which
/// overwrites its input. And products (EX-50), which NumPy leaves to OpenBLAS too.
const LINALG: &[Bar] = &[
    solved("(A + D).cholesky(), n = 64", "tenure_factor_64", "numpy_factor_64", 1.0),
    solved("(A + D).cholesky(), n = 64", "tenure_factor_64", "scipy_factor_64", 1.0),
    solved("(A + D).cholesky(), n = 200", "tenure_factor_200", "numpy_factor_200", 1.0),
    solved("(A + D).cholesky(), n = 200", "tenure_factor_200", "scipy_factor_200", 1.0),
    solved("(A + D).cholesky(), n = 1000", "tenure_factor_1000", "numpy_factor_1000", 0.75),
    solved("(A + D).cholesky(), n = 1000", "tenure_factor_1000", "scipy_factor_1000", 0.75),
    solved("(A + D).cholesky(), n = 2000", "tenure_factor_2000", "numpy_factor_2000", 0.75),
    solved("(A + D).cholesky(), n = 2000", "tenure_factor_2000", "scipy_factor_2000", 0.75),
    solved("solve by it, n = 64", "tenure_solve_64", "numpy_solve_64", 1.0),
    solved("solve by it, n = 64", "tenure_solve_64", "scipy_solve_64", 1.0),
    solved("solve by it, n = 200", "tenure_solve_200", "numpy_solve_200", 1.0),
    solved("solve by it, n = 200", "tenure_solve_200", "scipy_solve_200", 1.0),
    solved("solve by it, n = 1000", "tenure_solve_1000", "numpy_solve_1000", 0.75),
    solved("solve by it, n = 1000", "tenure_solve_1000", "scipy_solve_1000", 0.75),
    solved("solve by it, n = 2000", "tenure_solve_2000", "numpy_solve_2000", 0.75),
    solved("solve by it, n = 2000", "tenure_solve_2000", "scipy_solve_2000", 0.75),
    solved("peak bytes of the factor, n = 2000", "tenure_factor_2000.bytes", "numpy_factor_2000.bytes", 1.0),
    solved("peak bytes of the factor, n = 2000", "tenure_factor_2000.bytes", "scipy_factor_2000.bytes", 1.0),
    solved("peak bytes of the solution, n = 2000", "tenure_solve_2000.bytes", "numpy_solve_2000.bytes", 1.0),
    solved("peak bytes of the solution, n = 2000", "tenure_solve_2000.bytes", "scipy_solve_2000.bytes", 1.0),
    solved("product, 512 x 512 f64", "tenure_product_float64_512", "numpy_product_float64_512", 1.1),
    solved("product, 1024 x 1024 f64", "tenure_product_float64_1024", "numpy_product_float64_1024", 1.1),
    solved("product, 2048 x 2048 f64", "tenure_product_float64_2048", "numpy_product_float64_2048", 1.1),
    solved("product, 512 x 512 f32", "tenure_product_float32_512", "numpy_product_float32_512", 1.1),
    solved("product, 1024 x 1024 f32", "tenure_product_float32_1024", "numpy_product_float32_1024", 1.1),
    solved("product, 2048 x 2048 f32", "tenure_product_float32_2048", "numpy_product_float32_2048", 1.1),
];

/// Cases that are shown without a bar.
const FLOORS: &[(&str, &str)] = &[
    ("a call into the library", "library_call"),
    ("malloc(96) + free", "malloc_free"),
    ("compare-exchange pair", PAIR),
    ("mutex pair", "mutex"),
    ("borrow_read with its view + end", "borrow_view"),
];

impl Bar {
    fn line(&self, figures: &Figures) -> Record {
        let pair = figures.minimum(PAIR);
        let share = matches!(self.target, Target::AtLeast(_));
        // A share is the median of all windows: its minimum and maximum are outliers.
        let value = if share { figures.median(self.case) } else { figures.minimum(self.case) };
        let peer_value = if share { None } else { figures.minimum(self.peer) };
        let ratio = value.zip(peer_value).map(|(value, peer)| value / peer);
        let slower = pair.map_or(1.0, |pair| (pair / 10.0).max(1.0));
        let within = |limit: f64, figure: Option<f64>| figure.is_some_and(|figure| figure <= limit);
        let (target, holds) = match self.target {
            Target::Ns(ns, None) => (format!("<= {ns} ns"), within(ns * slower, value)),
            Target::Ns(ns, Some(times)) => {
                (format!("<= {ns} ns, <= {times}"), within(ns * slower, value) && within(times, ratio))
            }
            Target::Times(times) => (format!("<= {times}"), within(times, ratio)),
            Target::AtLeast(least) => (format!(">= {least}"), value.is_some_and(|value| value >= least)),
        };
        let binds = value.is_some();
        let (peer, peer_version) = match self.peer {
            _ if share => ("the mean", String::new()),
            PAIR => ("compare-exchange pair", processor()),
            "malloc_free" => ("malloc(96) + free", format!("glibc {}", figures.fact("glibc"))),
            "borrow_read" => ("one thread", version()),
            peer if peer.starts_with("torch") => ("torch, to itself", figures.fact("torch").to_owned()),
            peer if peer.starts_with("scipy") => ("scipy, overwrite_a=True", figures.fact("scipy").to_owned()),
            peer if peer.starts_with("default") => ("numpy's allocator", figures.fact("numpy").to_owned()),
            _ => ("numpy", figures.fact("numpy").to_owned()),
        };
        let note = match value {
            None if self.case.contains("torch") => {
                "skipped: PyTorch is not installed; cargo xtask test --peers does that".to_owned()
            }
            None => format!("skipped: {} cores here", figures.fact("cores")),
            Some(_) => String::new(),
        };
        Record {
            name: self.name.to_owned(),
            bar: self.bar.to_owned(),
            value,
            median: figures.median(self.case),
            unit: match self.case {
                _ if share => "part",
                case if case.ends_with(".bytes") => "bytes",
                _ => "ns",
            },
            peer: peer.to_owned(),
            peer_version,
            peer_value,
            peer_median: None,
            ratio,
            pairs: value.zip(pair).filter(|_| !share).map(|(value, pair)| value / pair),
            target,
            met: binds.then_some(holds),
            note,
        }
    }
}

/// `cargo xtask bench [objects|copy|python|linalg|strided] [--json]`: all benchmarks without a name. `cargo xtask bench
/// pool` has options of its own.
fn bench(arguments: &[&str]) -> Done {
    if let ["pool", options @ ..] = arguments {
        return pool::bench(options);
    }
    if arguments == ["device-pool"] {
        return device_pool::bench();
    }
    if arguments == ["events"] {
        return events::bench();
    }
    if arguments == ["operators"] {
        return operators::bench();
    }
    if arguments == ["launch"] {
        return launch::bench();
    }
    if arguments == ["processes"] {
        return processes::bench();
    }
    if arguments == ["programs"] {
        return programs::bench();
    }
    if arguments == ["mpi"] {
        return mpi::bench();
    }
    let json = arguments.contains(&"--json");
    let names: Vec<&str> = arguments.iter().copied().filter(|argument| *argument != "--json").collect();
    if let Some(unknown) = names.iter().find(|name| !["objects", "copy", "python", "linalg", "strided"].contains(*name))
    {
        return Err(format!(
            "there is no benchmark {unknown}: objects, copy, python, linalg or strided; or device-pool, events, launch, operators, processes, programs or mpi; or pool with options of its own"
        ));
    }
    let wanted = |name: &str| names.is_empty() || names.contains(&name);
    let mut lines: Vec<Record> = Vec::new();
    if !json {
        println!("{}, {}; {ROUNDS} rounds, minima\n", processor(), version());
    }
    if wanted("objects") {
        dist::stage()?;
        let program = root().join("target/benches/objects");
        compile("benches/objects.c", &program, &[])?;
        let figures = Figures::measure(&program, &[])?;
        if !json {
            for (name, case) in FLOORS {
                let figure = |figure: Option<f64>| figure.map_or("-".to_owned(), |figure| format!("{figure:.2}"));
                println!("     {name:<40} {:>8} {:>8}", figure(figures.minimum(case)), figure(figures.median(case)));
            }
        }
        lines.extend(OBJECTS.iter().map(|bar| bar.line(&figures)));
    }
    if wanted("copy") {
        lines.extend(copies::copy()?);
    }
    match python::missing() {
        _ if !["python", "linalg", "strided"].iter().any(|name| wanted(name)) => {}
        Some(why) if names.is_empty() => eprintln!("python: skipped: {why}"),
        Some(why) => return Err(why),
        None => {
            let python = python::installed_with_most()?;
            for (name, bars) in [("python", PYTHON), ("linalg", LINALG)] {
                if wanted(name) {
                    let figures = Figures::measure(&python, &[&root().join(format!("benches/{name}.py"))])?;
                    lines.extend(bars.iter().map(|bar| bar.line(&figures)));
                }
            }
            if wanted("strided") {
                lines.extend(copies::strided()?);
            }
        }
    }
    if !json {
        println!(
            "\n{:<4} {:<40} {:>8} {:>8} {:>6}  {:<22} {:>7} {:>6}  {:<16} met",
            "bar", "what", "ns", "median", "pairs", "peer", "ns", "ratio", "target"
        );
    }
    for line in &lines {
        println!("{}", if json { line.json() } else { line.row() });
    }
    Ok(())
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")).and_then(|rest| rest.split_once(": "));
    name.map_or("unknown processor", |(_, name)| name).to_owned()
}

fn version() -> String {
    let manifest = read("Cargo.toml").unwrap_or_default();
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = "));
    format!("tenure {}", version.unwrap_or("of an unknown version").trim_matches('"'))
}
