//! `tenure replay` on logs that this test writes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tenure_event_log::{Event, Kind, Log, rmm, to_bytes, write};
use tenure_harness::{Printed, output, test};

fn main() -> std::process::ExitCode {
    tenure_harness::main()
}

const LIMIT: Duration = Duration::from_secs(120);
const MIB: u64 = 1 << 20;

fn replay(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    command.arg("replay").args(arguments).env_remove("LD_PRELOAD").stdin(Stdio::null());
    let Printed { status, stdout, stderr, .. } = output(&mut command, LIMIT).unwrap();
    (status.and_then(|status| status.code()).unwrap_or(-1), stdout, stderr)
}

/// A file of this test.
fn file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("replay-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

fn saved(name: &str, log: &Log) -> String {
    let path = file(name);
    write(&path, log).unwrap();
    path.to_str().unwrap().to_owned()
}

fn event(thread: u32, kind: Kind, address: u64, bytes: u64) -> Event {
    Event { address, bytes, alignment_log2: 255, ..Event::new(0, thread, kind) }
}

/// Blocks of two threads, 12 MiB at the peak, of which one is aligned, one is resized and one is never freed.
fn program() -> Log {
    let mut events: Vec<Event> = (1..=100).map(|number| event(1, Kind::Allocate, number * 64, 40)).collect();
    events.push(Event { alignment_log2: 12, ..event(2, Kind::Allocate, 1 << 20, 4 * MIB) });
    events.push(Event { other: 1 << 20, ..event(2, Kind::Reallocate, 2 << 20, 12 * MIB - 4000) });
    events.extend((1..100).map(|number| event(2, Kind::Free, number * 64, 0)));
    events.push(event(1, Kind::Free, 2 << 20, 0));
    events.iter_mut().zip(0..).for_each(|(event, time_ns)| event.time_ns = time_ns);
    Log { events, ..Log::default() }
}

/// CO-40: a table, or JSON, with the time and memory of both allocators.
#[test]
fn co_40_a_log_is_replayed_on_both_allocators() {
    let path = saved("program.gz", &program());
    let (code, text, errors) = replay(&[&path, "--rounds", "2"]);
    assert_eq!((code, errors.as_str()), (0, ""), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "101 allocations, 1 reallocation, peak 12 MiB live");
    for name in ["tenure", "malloc"] {
        assert!(lines.iter().any(|line| line.trim_start().starts_with(name) && line.contains(" ms ")), "{text}");
    }
    let (code, json, errors) = replay(&[&path, "--rounds", "1", "--json"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&found["allocations"], &found["peak_live_bytes"]), (&101.into(), &(12 * MIB).into()), "{json}");
    let names: Vec<&str> =
        found["allocators"].as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["tenure", "malloc"]);
    for allocator in found["allocators"].as_array().unwrap() {
        let number = |name: &str| allocator[name].as_u64().unwrap();
        // Each byte was written, so all are resident; a new block of 16 MiB would be the next larger one.
        assert!((12 * MIB - 8192..24 * MIB).contains(&number("peak_resident_bytes")), "{json}");
        assert!(number("run_ns") > 0 && number("calls_ns") > 0, "{json}");
    }
}

/// CO-40: logs of RMM too.
#[test]
fn co_40_a_log_of_rmm_is_replayed() {
    let path = file("rmm.csv");
    let lines = ["1,00:00:00:000001,allocate,0x1000,1048576,0x0", "1,00:00:00:000002,free,0x1000,1048576,0x0"];
    std::fs::write(&path, format!("{}\n{}\n", rmm::HEADER, lines.join("\n"))).unwrap();
    let (code, text, errors) = replay(&[path.to_str().unwrap(), "--rounds", "1"]);
    assert_eq!((code, errors.as_str()), (0, ""), "{text}");
    assert!(text.starts_with("1 allocation, 0 reallocations, peak 1 MiB live\n"), "{text}");
}

/// CO-41: what is not replayed as the program did it is counted.
#[test]
fn co_41_what_is_not_replayed_is_said() {
    let mut log = program();
    log.events.insert(0, event(1, Kind::Free, 16, 0));
    log.events.insert(0, event(1, Kind::Allocate, 0, 8));
    let (code, text, _) = replay(&[&saved("remarks", &log), "--rounds", "1"]);
    assert_eq!(code, 0);
    let remarks: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!(
        remarks,
        [
            "1 free without an allocation in the log: left out",
            "1 block not freed in the log: freed at the end",
            "1 request that failed: left out",
            "2 threads: replayed on one, in the order of their times",
        ]
    );
}

/// CO-42: a log that cannot be replayed is refused with one line, before anything is allocated.
#[test]
fn co_42_a_log_that_cannot_be_replayed_is_refused() {
    let path = |name: &str, bytes: &[u8]| {
        let path = file(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let whole = to_bytes(&program());
    let mut damaged = whole.clone();
    damaged[4096] ^= 1; // the mark of the first chunk
    let huge = Log {
        events: vec![event(1, Kind::Allocate, 16, u64::MAX), event(1, Kind::Allocate, 32, u64::MAX)],
        ..Log::default()
    };
    for (log, part) in [
        (path("garbage", b"no log"), "no event log"),
        (path("short", &whole[..100]), "the header ends"),
        (path("damaged", &damaged), "damaged"),
        (saved("empty", &Log::default()), "no allocation"),
        (saved("huge", &huge), "are free"),
        ("/no/such/file".to_owned(), "/no/such/file"),
    ] {
        let (code, text, errors) = replay(&[&log]);
        assert_eq!((code, text.as_str()), (1, ""), "{errors}");
        assert!(
            errors.starts_with("tenure replay: ") && errors.contains(part) && errors.lines().count() == 1,
            "{errors}"
        );
    }
    assert_eq!(replay(&["x", "--rounds", "0"]).0, 2);
}
