//! The converters: golden files of a short log, and properties of what any log becomes.

mod support {
    pub mod random;
    pub mod story;
}

use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use support::{random::log, story::story};
use tenure_event_log::{Error, Event, Kind, Log, from_bytes, perfetto, rmm, torch};

fn written(write: impl FnOnce(&Log, &mut Vec<u8>) -> std::io::Result<()>, log: &Log) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(log, &mut bytes).unwrap();
    bytes
}

fn trace(log: &Log) -> Vec<u8> {
    written(|log, out| perfetto::write(log, out), log)
}

fn snapshot(log: &Log) -> Value {
    let pickle = written(|log, out| torch::write(log, out), log);
    serde_pickle::from_slice(&pickle, serde_pickle::DeOptions::new()).unwrap()
}

fn lines(log: &Log) -> String {
    String::from_utf8(written(|log, out| rmm::write(log, out), log)).unwrap()
}

/// Compares with a committed file. What differs is written beside it in the target folder.
fn assert_golden(name: &str, actual: &str) {
    let expected = std::fs::read_to_string(Path::new("tests/golden").join(name)).unwrap_or_default();
    if actual != expected {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, actual).unwrap();
        panic!("event-log/tests/golden/{name} differs; see {}", path.display());
    }
}

#[test]
fn the_trace_is_the_golden_one() {
    assert_golden("trace.json", &String::from_utf8(trace(&story())).unwrap());
}

#[test]
fn the_snapshot_is_the_golden_one() {
    // A line for each element of a list.
    let lines = snapshot(&story()).to_string().replace("{\"a", "\n{\"a") + "\n";
    assert_golden("snapshot.json", lines.trim_start());
}

#[test]
fn the_lines_of_rmm_are_the_golden_ones() {
    assert_golden("rmm.csv", &lines(&story()));
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} in {value}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Each element has what the format demands of its phase; what began on a thread's track ends within what surrounds
    /// it.
    #[test]
    fn any_log_is_a_trace(log in log()) {
        let trace: Value = serde_json::from_slice(&trace(&log)).unwrap();
        let mut slices: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
        for entry in trace["traceEvents"].as_array().unwrap() {
            assert!(entry["pid"].is_u64() && entry["tid"].is_u64() && entry["ts"].as_f64().unwrap() >= 0.0);
            match (text(entry, "ph"), text(entry, "cat")) {
                ("M", _) => assert!(entry["args"]["name"].is_string()),
                ("C", _) => assert!(entry["args"]["bytes"].is_u64()),
                ("i", _) => assert_eq!(text(entry, "s"), "t"),
                ("b" | "e" | "s" | "f", _) => assert!(text(entry, "id").starts_with("0x")),
                ("X", "borrow") => {
                    let (begin, length) = (entry["ts"].as_f64().unwrap(), entry["dur"].as_f64().unwrap());
                    slices.entry(entry["tid"].as_u64().unwrap()).or_default().push((begin, begin + length));
                }
                ("X", _) => assert!(entry["dur"].as_f64().unwrap() > 0.0),
                other => panic!("{other:?}"),
            }
        }
        for slices in slices.values() {
            for (begin, end) in slices {
                let cut = |(b, e): &&(f64, f64)| b < begin && begin < e && *e < end * (1.0 - 1e-9);
                prop_assert!(!slices.iter().any(|slice| cut(&slice)));
            }
        }
    }

    /// The viewer goes back from the end: each block must be within a segment of its time, and each end needs a block.
    #[test]
    fn any_log_is_a_snapshot(log in log()) {
        check_snapshot(&snapshot(&log));
    }

    /// All but the day is kept.
    #[test]
    fn lines_of_rmm_are_read_as_they_were(log in log()) {
        let without_time = |lines: &str| -> Vec<String> {
            let fields = |line: &str| line.split(',').enumerate().filter(|(at, _)| *at != 1).map(|(_, field)| field.to_owned()).collect();
            lines.lines().map(fields).collect()
        };
        let once = lines(&log);
        let read = from_bytes(once.as_bytes()).unwrap();
        prop_assert_eq!(without_time(&lines(&read)), without_time(&once));
    }

    #[test]
    fn any_text_behind_the_header_of_rmm_is_a_log_or_an_error(lines in "([0-9a-fx:.,\n]|allocate|free|,){0,60}") {
        match from_bytes(format!("{}\n{lines}", rmm::HEADER).as_bytes()) {
            Ok(_) | Err(Error::Malformed { .. }) => (),
            Err(error) => panic!("{error}"),
        }
    }
}

fn check_snapshot(snapshot: &Value) {
    let number = |value: &Value, field: &str| value[field].as_i64().unwrap_or_else(|| panic!("{field} in {value}"));
    let segments = snapshot["segments"].as_array().unwrap();
    for (device, steps) in snapshot["device_traces"].as_array().unwrap().iter().enumerate() {
        let mut known: BTreeMap<i64, i64> = BTreeMap::new();
        let mut live: BTreeMap<i64, i64> = BTreeMap::new();
        for segment in segments.iter().filter(|segment| segment["device"] == device) {
            let mut end = number(segment, "address");
            known.insert(end, number(segment, "total_size"));
            for block in segment["blocks"].as_array().unwrap() {
                assert_eq!(number(block, "address"), end);
                if block["state"] == "active_allocated" {
                    assert!(!block["frames"].as_array().unwrap().is_empty());
                    live.insert(end, number(block, "size"));
                }
                end += number(block, "size");
            }
            assert_eq!(end, number(segment, "address") + number(segment, "total_size"));
        }
        for step in steps.as_array().unwrap().iter().rev() {
            assert!(step["frames"].is_array() && step["stream"].is_i64() && step["time_us"].is_i64());
            let (address, size) = (number(step, "addr"), number(step, "size"));
            match text(step, "action") {
                "alloc" => assert_eq!(live.remove(&address), Some(size)),
                "free_completed" => {
                    let (begin, length) = known.range(..=address).next_back().expect("a segment");
                    assert!(address + size <= begin + length);
                    live.insert(address, size);
                }
                "free_requested" => assert_eq!(live.get(&address), Some(&size)),
                "segment_alloc" => {
                    assert_eq!(known.remove(&address), Some(size));
                    assert!(live.range(address..address + size).next().is_none());
                }
                "oom" => assert!(step["device_free"].is_i64()),
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn a_log_of_rmm_is_read() {
    let log = b"Thread,Time,Action,Pointer,Size,Stream\r\n\
        140573312345856,23:59:59.999999,allocate,0x30a000000,256,0\n\
        17,23:59:59.999999,allocate failure,(nil),1024,0x7f8a38001020\n\
        17,00:00:01:000001,free,0x30a000000,256,2\n\
        17,00:00:02.5,allo";
    let log = from_bytes(log).unwrap();
    let all = |event| Event { alignment_log2: 255, client: 6, pool: 1, ..event };
    let expected = [
        Event { address: 0x3_0a00_0000, bytes: 256, ..Event::new(0, u32::MAX, Kind::Allocate) },
        Event { bytes: 1024, stream: 0x7f8a_3800_1020, ..Event::new(1, 17, Kind::Allocate) },
        Event { address: 0x3_0a00_0000, bytes: 256, stream: 2, ..Event::new(1_000_002_000, 17, Kind::Free) },
    ];
    assert_eq!(log.events, expected.map(all));
    assert_eq!(log.start_unix_ns, 86_399_999_999_000);
}

#[test]
fn a_line_that_is_not_rmms_is_named() {
    let log = b"Thread,Time,Action,Pointer,Size,Stream\n1,1.5,allocate,0x10,8,0\n1,2.5,release,0x10,8,0\n";
    assert_eq!(
        from_bytes(log).unwrap_err().to_string(),
        "the line \"1,2.5,release,0x10,8,0\", which is not Thread,Time,Action,Pointer,Size,Stream, is at byte 63; \
         name a log of RMM's logging_resource_adaptor"
    );
}

/// The time of day goes back in each second line, which begins another day. The days add up to more nanoseconds than 64
/// bits hold.
#[test]
fn times_of_rmm_that_add_up_to_centuries_stay_in_order() {
    let line = |seconds: &str| format!("1,{seconds},free,0,0,0\n");
    let lines = (line("9223372036") + &line("0")).repeat(110_000);
    let log = from_bytes(format!("{}\n{lines}", rmm::HEADER).as_bytes()).unwrap();
    assert_eq!(log.events.len(), 220_000);
    assert!(log.events.is_sorted_by_key(|event| event.time_ns));
    assert_eq!(log.events.last().unwrap().time_ns, i64::MAX as u64);
}
