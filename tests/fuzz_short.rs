//! The fuzz targets with fixed inputs: the seeds, earlier findings, and mutations of both (NP-13, IO-7, XC-7). `cargo
//! xtask fuzz` does the search. TENURE_FUZZ_ROUNDS sets the number of mutations.

mod support {
    pub mod random;
}

#[path = "fuzz/src/lib.rs"]
#[allow(dead_code)]
mod tenure_fuzz;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::Path;
use support::random::Random;
use tenure_fuzz::{Entry, TARGETS, Target, assert_nothing_left, npy, safetensors};

thread_local! {
    /// The largest allocation of this thread since it was set to 0.
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

struct Watched;

// SAFETY: the system's allocator.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.set(LARGEST.get().max(layout.size()));
        // SAFETY: the caller's obligation.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's obligation.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static HEAP: Watched = Watched;

/// One mutation: a byte, a number, or a piece copied, cut or inserted from another input.
fn mutate(input: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    const WORDS: [&[u8]; 12] = [
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\0\0\0\0\0\0\0\x80",
        b"9223372036854775807",
        b"-1",
        b"[[[[[[[[",
        b"}",
        b"\"",
        b"\\u0000",
        b"'shape': (",
        b"\"shape\":[",
        b"data_offsets",
    ];
    let at = random.below(input.len() + 1);
    match random.below(8) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 if at < input.len() => input[at] = random.below(256) as u8,
        2 if at < input.len() => {
            let to = (at + 1 + random.below(16)).min(input.len());
            input.drain(at..to);
        }
        3 => input.truncate(at),
        4 => {
            let to = (at + 1 + random.below(32)).min(input.len());
            let piece = input[at.min(to)..to].to_vec();
            let into = random.below(input.len() + 1);
            input.splice(into..into, piece);
        }
        5 => {
            let other = &others[random.below(others.len())];
            let from = random.below(other.len() + 1);
            let to = (from + random.below(24)).min(other.len());
            input.splice(at..at, other[from..to].iter().copied());
        }
        6 => {
            let word = WORDS[random.below(WORDS.len())];
            input.splice(at..at, word.iter().copied());
        }
        _ => {
            let word = WORDS[random.below(WORDS.len())];
            let to = (at + word.len()).min(input.len());
            input.splice(at..to, word.iter().copied());
        }
    }
}

/// Seeds and earlier findings, in a fixed order wherever the repository lies.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let mut inputs = (target.seeds)();
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/found").join(target.name);
    let mut paths: Vec<_> = fs::read_dir(found).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    inputs.extend(paths.into_iter().map(|path| fs::read(path).unwrap()));
    inputs
}

fn rounds(usual: usize) -> usize {
    std::env::var("TENURE_FUZZ_ROUNDS").map_or(usual, |text| text.parse().expect("TENURE_FUZZ_ROUNDS is a number"))
}

fn short_run(name: &str) {
    let target = TARGETS.into_iter().find(|target| target.name == name).expect("a target of that name");
    let corpus = corpus(&target);
    corpus.iter().for_each(|input| (target.entry)(input));
    let mut random = Random::new(1);
    for round in 0..rounds(4000) {
        let mut input = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(4) {
            mutate(&mut input, &corpus, &mut random);
        }
        let run = std::panic::catch_unwind(|| (target.entry)(&input));
        assert!(run.is_ok(), "{name}, round {round}: {}", input.escape_ascii());
    }
}

/// In sequence, because leaks are counted for the whole process.
#[test]
fn np_13_io_7_xc_7_every_input_is_a_status_or_an_array() {
    for target in TARGETS {
        short_run(target.name);
        assert_nothing_left();
    }
}

/// NP-13: no allocation larger than 16 times the file.
#[test]
fn np_13_no_allocation_is_larger_than_16_times_the_file() {
    let names: Vec<String> =
        (0..200).map(|i| format!(r#""{i}":{{"dtype":"U8","shape":[],"data_offsets":[{i},{}]}}"#, i + 1)).collect();
    let lengths = vec!["0"; 64].join(",");
    let long = format!(r#"{{"a":{{"dtype":"U8","shape":[{lengths}],"data_offsets":[0,0]}}}}"#);
    let escapes = format!(r#"{{"{}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}}}"#, r"\u00e4".repeat(300));
    let many = format!("{{{}}}", names.join(","));
    let wrong = format!(r#"{{"a":{{"dtype":"{}"}}}}"#, "\u{80}".repeat(500));
    let file = |text: &str, data: usize| [&(text.len() as u64).to_le_bytes(), text.as_bytes(), &vec![0; data]].concat();
    let mut files: Vec<(Entry, Vec<u8>)> = Vec::new();
    for (text, data) in [(&*many, 200), (&*long, 0), (&*escapes, 0), (&*wrong, 0), ("{}", 0), ("{", 0)] {
        files.push((safetensors, file(text, data)));
    }
    for target in TARGETS.iter().take(2) {
        files.extend(corpus(target).into_iter().map(|input| (target.entry, input)));
    }
    // Initial allocations of threads and tables are done.
    npy(b"");
    safetensors(&file("{}", 0));
    for (entry, bytes) in files {
        // The entry's own lists are part of it: one item per tensor.
        let own = 64 * size_of::<tenure::types::tn_safetensors_info>();
        LARGEST.set(0);
        entry(&bytes);
        let largest = LARGEST.get();
        assert!(largest <= 16 * bytes.len() || largest == own, "{largest} bytes for a file of {}", bytes.len());
    }
}
