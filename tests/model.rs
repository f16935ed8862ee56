//! An executable model of the ownership rules, run beside the library.
//!
//! Contract: `model/` holds the rules (`layout`, `region`, `views`, `store`, `handle`, `rules`, `claims`, `scope`,
//! `borrows`, `crossing`; `variable` and `update` for shared variables; `function`, `pass` and `left` for functions;
//! `launch` for kernels of the host; `graph` and `compute` for expressions, whose numbers come from scalar loops in
//! `matrices`; checked by `invariants`). They are written from the specification and share only the plain C types with
//! the implementation. `library` and `invoke` make the calls through the C functions; the calls of a callback are those
//! that follow in the trace, see `callback`. `driver` and `compare` compare the two after every step; `seen` and
//! `shadow` compare computed values. `rows` are hand-written traces, one for each row. `ops`, `kinds` and `draw` make
//! random traces, and `reduce` shrinks a failing one. The ordinary run uses a fixed seed: TENURE_MODEL_STEPS sets the
//! number of steps, TENURE_MODEL_SEED the seed. `soak` (ignored) runs without end from a seed of the clock and prints
//! each seed, which TENURE_MODEL_SEED replays.

#[path = "support/random.rs"]
mod random;

mod model {
    pub mod api;
    pub mod borrows;
    pub mod callback;
    pub mod calls;
    pub mod claims;
    pub mod compare;
    pub mod compute;
    pub mod crossing;
    pub mod draw;
    pub mod draw_expr;
    pub mod draw_function;
    pub mod draw_launch;
    pub mod draw_scope;
    pub mod draw_shared;
    pub mod driver;
    pub mod function;
    pub mod graph;
    pub mod handle;
    pub mod invariants;
    pub mod invoke;
    pub mod invoke_function;
    pub mod invoke_launch;
    pub mod invoke_more;
    pub mod invoke_shared;
    pub mod kinds;
    pub mod launch;
    pub mod layout;
    pub mod left;
    pub mod library;
    pub mod matrices;
    pub mod numbers;
    pub mod ops;
    pub mod pass;
    pub mod reduce;
    pub mod region;
    pub mod rows;
    pub mod rules;
    pub mod scope;
    pub mod seen;
    pub mod shadow;
    pub mod store;
    pub mod update;
    pub mod variable;
    pub mod views;
}

use model::callback::Trace;
use model::calls::{Beside, Call};
use model::driver::Driver;
use model::handle::Model;
use model::ops::{Op, trace_of_line, traces};
use model::reduce::{self, TRACE, reduce};
use proptest::test_runner::{
    Config, FileFailurePersistence, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner,
};
use std::path::Path;

/// Steps of an average trace.
const TRACE_STEPS: u32 = 60;
/// Steps of the ordinary run.
const STEPS: u32 = 200_000;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Runs one trace on both sides to its end.
fn run(strict: bool, ops: &[Op]) -> Result<(), TestCaseError> {
    let mut driver = Driver::new(strict);
    driver.play(&mut Ops(ops)).map_err(TestCaseError::fail)?;
    driver.finish().map_err(TestCaseError::fail)
}

/// Operations, which become calls in the state before them.
struct Ops<'a>(&'a [Op]);

impl Trace for Ops<'_> {
    fn next(&mut self, model: &Model) -> Option<(Call, Beside)> {
        let (op, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(op.call(model))
    }
}

/// The traces that once failed, each behind the seed that made it then.
const FAILURES: &str = "tests/model/regressions.txt";

fn config(cases: u32) -> Config {
    let mut config = Config::with_cases(cases);
    config.failure_persistence = Some(Box::new(FileFailurePersistence::Direct(FAILURES)));
    // proptest's default, ChaCha, would take a quarter of the time of a debug build.
    config.rng_algorithm = RngAlgorithm::XorShift;
    // `reduce` shrinks in separate processes, because the state after a failure would make the next trace fail.
    config.max_shrink_iters = 0;
    config
}

/// Makes this many traces from the seed alone.
fn runner(cases: u32, seed: u64) -> TestRunner {
    let mut bytes = [1; 16];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(config(cases), TestRng::from_seed(RngAlgorithm::XorShift, &bytes))
}

/// Runs traces. Returns the text of a shrunk failing one, if any.
fn search(mut runner: TestRunner) -> Result<(), String> {
    let outcome = runner.run(&traces(), |(strict, ops)| run(strict, &ops));
    let Err(failure) = outcome else { return Ok(()) };
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("model-trace.txt");
    if let TestError::Fail(_, (strict, ops)) = &failure
        && let Some(text) = reduce(*strict, ops, &file)
    {
        let again = format!("{TRACE}={} cargo test --test model replay -- --ignored", file.display());
        return Err(format!("{text}\nagain: {again}"));
    }
    Err(failure.to_string())
}

#[test]
#[ignore = "runs the trace of a file that a failure left behind"]
fn replay() {
    let file = std::env::var(TRACE).expect("TENURE_MODEL_TRACE names the file");
    reduce::replay(&file).unwrap_or_else(|text| panic!("{text}"));
}

/// Their operations are in the file, because a seed makes another trace as soon as there is another kind of operation.
#[test]
fn traces_that_once_failed_agree_with_the_library() {
    let text = std::fs::read_to_string(FAILURES).expect("the file of failures");
    let traces: Vec<_> = text.lines().filter_map(trace_of_line).collect();
    assert!(traces.len() >= 37, "{} traces", traces.len());
    for (k, (strict, ops)) in traces.iter().enumerate() {
        run(*strict, ops).unwrap_or_else(|text| panic!("trace {k}: {text}"));
    }
}

#[test]
fn random_traces_agree_with_the_library() {
    let steps = from_environment("TENURE_MODEL_STEPS").unwrap_or(u64::from(STEPS));
    let cases = (steps / u64::from(TRACE_STEPS)).max(1) as u32;
    let seed = from_environment("TENURE_MODEL_SEED").unwrap_or(1);
    search(runner(cases, seed)).unwrap_or_else(|text| panic!("seed {seed}: {text}"));
}

#[test]
#[ignore = "runs until it is stopped or finds something"]
fn soak() {
    let mut seed = from_environment("TENURE_MODEL_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        now.as_nanos() as u64
    });
    let rounds = from_environment("TENURE_MODEL_ROUNDS").unwrap_or(u64::MAX);
    for _ in 0..rounds {
        println!("TENURE_MODEL_SEED={seed} TENURE_MODEL_ROUNDS=1");
        search(runner(1000, seed)).unwrap_or_else(|text| panic!("seed {seed}: {text}"));
        seed = seed.wrapping_add(1);
    }
}
