//! The project's commands: `cargo xtask <command>`. Without a command it lists them.
//!
//! Each command is a module of the library, or a package of its own.

use std::process::ExitCode;
use xtask::{
    bundle, cuda, demo, diagram, dist, doc, fuzz, gate, header_tools, install, malloc, page, ptx, python, release, run,
    setup, sim, sim_install, sim_peers, site, target, tools,
};

const HELP: &str = "\
cargo xtask <command>

  test [--timings]      does the library work here: tests of Rust, C, C++, Python, header and documents, with a summary
  test --all [--timings]
                        all checks; a missing tool is a failure. --timings writes what each stage cost to target/timings.tsv
  test NAME ..          what a name touches: a stage of the summary, the id of a row, a path, or a part of a test's name
  test --peers          also the Python tests with the large libraries (PyTorch: a first download of 3 GB), and sim-peers
  test --sim [SEEDS | --seed SEED]
                        the tests of GPUs on the simulated driver: with 3 seeds, with SEEDS seeds, or with one seed
  test --target aarch64|musl [--all]
                        tests of the library for that target, aarch64 under QEMU: those that depend on the processor, the page size, the
                        order of memory accesses or the C library; --all: all tests that the target has
  setup                 lists the missing tools, what is skipped without them, and the command that installs them
  interop [--check] [--peers]
                        tests the exchange with each installed library and writes docs/interop.md; --check only compares,
                        --peers includes the large libraries
  borrowing             writes the tables of docs/borrowing.md from what its tests observe; the tests only compare
  header [--check]      writes include/tenure.h, include/tenure_bindings.h, include/tenure_static_checks.h, abi/symbols.txt, abi/api.json and
                        the generated parts of the bindings;
                        --check only compares
  check FILE.. [--sarif] [-- OPTION ..]
                        finds misuse of handles in C and C++ sources, as `tenure check`, with the headers of the repository
  header-tools          rust-bindgen, cffi, SWIG, zig translate-c and cgo on the header: builds and runs a program with each (a first
                        download of 120 MB)
  dist                  stages the libraries and headers in target/dist, and packs them into a tarball there
  install --prefix DIR  installs headers, libraries, documents, pkg-config files and a CMake package below DIR
  install --with-simulator --prefix DIR
                        installs only the simulated CUDA driver, in DIR/cuda-sim
  install --check       builds and runs programs against the unpacked tarball, by pkg-config and by CMake; checks the documents' links
  release [KIND ..]     writes target/release-files for x86_64, aarch64, x86_64-musl and aarch64-musl, or for the named of them: tarballs,
                        wheels, Debian packages, packages of Node.js, Java, R and Zig, crates, sources, recipes, SBOM, SHA256SUMS
  release --check       runs the commands of docs/install.md on these files alone: a program of each language; C and C++ also for aarch64
                        under QEMU
  release --check-root DIR
                        runs those of C and Python in the root of another system, which debootstrap made with gcc, g++, pkg-config and
                        python3-venv
  release --record      records the interface of this version in abi/, and programs that later libraries must run
  release --compare     compares headers and library with the recorded releases, and runs the recorded programs
  gpu-bundle [--no-check]
                        puts all CUDA tests and benchmarks into target/gpu-bundle, for a machine with a GPU and no Rust, and
                        runs them on the simulated driver
  ptx [--check]         compiles the CUDA kernels to PTX, which is committed; --check only compares, and compiles the PTX for each
                        generation of GPUs (a first download of 64 MB)
  page [--check]        bundles report-page into the page that tn_report_html writes, which is committed; --check only compares (needs
                        npm, and a first download of 10 MB)
  page --screenshots    draws docs/report with Chromium
  distributed           runs the tests of tenure.distributed with MPICH, Open MPI and other engines, and examples/mpi (a first download
                        of 200 MB)
  umf                   downloads UMF's wheels into target/umf; c-tests/umf is built with their headers and library
  wheel                 builds the Python package into target/wheels
  demo                  runs examples/handover: one buffer in a C and a Python program
  examples              runs the other examples with a C and a Python program each
  diagram               draws docs/*.dot as SVG beside them, by Graphviz's dot
  bench [objects|copy|python|linalg|strided] [--json]
                        measures the staged library beside the other libraries of this machine
  bench device-pool     measures what device pools cost the host, on the simulated driver
  bench events          measures what an event costs while a log runs
  bench launch          measures what a launch that borrows its arguments costs the host
  bench operators       measures a node of an expression that an operator of C++ or Rust builds, beside the calls of C
  bench processes       measures arrays handed over to another process
  bench programs        measures whole programs with this and other allocators
  bench mpi             measures messages of arrays by MPICH and by Open MPI, beside NumPy's
  bench pool [--quick] [--runs N] [--peers A,B] [--cases C,D] [--threads N,M] [--library FILE] [--instructions] [--json]
             [--write [--copies]]
                        measures host pools beside glibc, jemalloc, mimalloc and others; --quick: a few of them, in a minute;
                        --threads: these numbers of threads, on cores of their own, near each other and on NUMA nodes in turn;
                        --write: writes the tables and plots of docs/performance.md and a file in benches/record; with --cases only
                        the tables of these cases
  replay LOG.. [--pools A,B] [--runs N] [--library FILE] [--json]
                        serves the allocations of a recorded program with each allocator of bench pool: time and resident memory
  replay LOG --sizes-only FILE [--first N]
                        writes the log without addresses, names and times, to share it
  fuzz [TARGET] [--seconds N]
                        libFuzzer on the parsers of foreign bytes: npy, safetensors, dlpack, arrow, descriptors, event_log; 60 seconds each
  soak [NAME [MINUTES]] repeats a test for 10 minutes, or until it fails, with other seeds, which it prints:
                        model: random traces against the model; this is the default
                        sim: the tests of GPUs on the simulated driver
                        pool: a random load on a pool, whose resident memory must not grow; draws docs/soak.svg
                        misuse: wrong calls on strict and checked pools
                        mirror: the host sides of mirrors in several threads
                        processes: processes that share arrays and are killed
                        languages: objects of R, Java and Go that only the garbage collector releases
  soak pool --draw      draws the last run of soak pool again
  malloc [--long]       runs C tests, Python's own tests, gcc and SQLite on the preload library; --long: minutes in place of seconds
  sim                   builds the simulated CUDA driver in target/cuda-sim, for the front of LD_LIBRARY_PATH
  sim-peers [--check] [NAME ...]
                        runs the tests of cuda.bindings, numba-cuda and PyCUDA on the simulated driver and writes
                        docs/simulator-peers.md; --check only compares; NAME: these test files only (a first download of 400 MB)
  site [--check]        the documentation as pages for a browser, with search and the reference, in target/site (a first download of
                        30 MB); --check also tests them: all names and rows, links, search, a phone's width (needs Chromium)
  doc                   Doxygen on the header: a wrong reference or command in its comments is a failure
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["test", "--peers"] => gate::peers(),
        ["test", "--target", name] => target::main(name, false),
        ["test", "--target", name, "--all"] => target::main(name, true),
        ["test", "--sim", rest @ ..] => cuda::main(rest),
        ["test", rest @ ..] => gate::run(rest),
        ["interop", rest @ ..] => interop(rest),
        ["borrowing"] => borrowing(),
        ["header"] | ["header", "--check"] => tools::package("xtask-header", &arguments[1..]),
        ["check", files @ ..] => check(files),
        ["header-tools"] => header_tools::main(),
        ["dist"] => dist::stage().and_then(|()| install::pack(dist::THIS)).map(|path| println!("{}", path.display())),
        ["install", "--check"] => python::environment()
            .and_then(|python| Ok(install::check(Some(&python))? + sim_install::check()?))
            .map(|count| println!("{count} programs ran")),
        ["install", "--prefix", prefix] => install::install(&from_here(prefix)),
        ["install", "--with-simulator", "--prefix", prefix] | ["install", "--prefix", prefix, "--with-simulator"] => {
            sim_install::install(&from_here(prefix))
        }
        ["release", options @ ..] => release::main(options),
        ["wheel"] => python::wheel().map(|path| println!("{}", path.display())),
        ["gpu-bundle"] => bundle::bundle(true),
        ["gpu-bundle", "--no-check"] => bundle::bundle(false),
        ["setup"] => setup::check(),
        ["ptx"] => ptx::write(),
        ["ptx", "--check"] => ptx::check(),
        ["page"] => page::write(),
        ["page", "--check"] => page::check(),
        ["page", "--screenshots"] => page::screenshots(),
        ["distributed"] => gate::distributed(),
        ["umf"] => python::umf(),
        ["demo"] => demo::demo(),
        ["diagram"] => diagrams(),
        ["examples"] => run::examples(),
        ["bench" | "replay", ..] | ["soak", "pool", "--draw"] => tools::package("xtask-bench", &arguments),
        ["fuzz", rest @ ..] => fuzz::fuzz(rest),
        ["soak", rest @ ..] => run::soak(rest),
        ["malloc"] => malloc::main(false),
        ["malloc", "--long"] => malloc::main(true),
        ["sim"] => sim::stage().map(|folder| println!("{}", folder.display())),
        ["sim-peers", rest @ ..] => sim_peers::all(rest),
        ["doc"] => doc::build(),
        ["site"] => site::write(),
        ["site", "--check"] => site::check(),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        wrong => {
            eprint!("xtask: there is no `cargo xtask {}`; there are:\n\n{HELP}", wrong.join(" "));
            return ExitCode::from(2);
        }
    };
    tools::ended(done)
}

/// Relative paths are the caller's: commands run in the repository.
fn from_here(path: &str) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}

/// Checks sources with the headers of the repository.
fn check(arguments: &[&str]) -> tools::Done {
    let include = format!("-I{}", tools::root().join("include").display());
    let mut all = vec!["check"];
    all.extend(arguments);
    if !arguments.contains(&"--") {
        all.push("--");
    }
    all.push(&include);
    tools::package("tenure-command", &all)
}

/// Writes docs/interop.md, or compares.
fn interop(options: &[&str]) -> tools::Done {
    if let Some(unknown) = options.iter().find(|option| !["--check", "--peers"].contains(option)) {
        return Err(format!("interop takes --check and --peers, not {unknown}"));
    }
    let python = if options.contains(&"--peers") { python::installed_with_peers()? } else { python::installed()? };
    python::interop(&python, if options.contains(&"--check") { "--check" } else { "--write" })
}

/// Writes the tables of docs/borrowing.md: those of the host, then those of devices on the simulated driver.
fn borrowing() -> tools::Done {
    for (program, tests_of, driver) in
        [("library", "borrowing::", sim::none()?), ("gpu", "cuda_borrowing::", sim::stage()?)]
    {
        let mut tests = tools::cargo();
        tests
            .args(["test", "--test", program, "--", tests_of])
            .env("TENURE_WRITE_TABLES", tools::root().join("docs/borrowing.md"))
            .env("LD_LIBRARY_PATH", driver);
        tools::run(&mut tests)?;
    }
    Ok(())
}

/// Draws every `docs/*.dot`.
fn diagrams() -> tools::Done {
    // Graphviz's dot has no --version.
    if tools::command("dot").arg("-V").output().is_err() {
        return Err("dot is not installed; on Debian: apt-get install graphviz".to_owned());
    }
    for name in tools::named("docs", "", ".dot")? {
        let path = tools::root().join("docs").join(name);
        let source = tools::io(&path, std::fs::read_to_string(&path))?;
        // A white background: on a dark page the black arrows would be invisible.
        let svg = tools::output(tools::command("dot").args(["-Tsvg", "-Gbgcolor=white"]).arg(&path))?;
        let drawn = path.with_extension("svg");
        tools::io(&drawn, std::fs::write(&drawn, diagram::stamped(&svg, &source)))?;
        println!("{}: written", drawn.display());
    }
    Ok(())
}
