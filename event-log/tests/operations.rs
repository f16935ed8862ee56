//! Logs as operations: the live set is that of the log, the order too, and hostile logs and files give operations or an
//! error.

mod support {
    pub mod random;
}

use proptest::prelude::*;
use std::collections::BTreeMap;
use tenure_event_log::operations::{Action, Operation, Operations, sizes_only};
use tenure_event_log::{Event, Kind, Log, from_bytes, read, to_bytes};

/// Requests and frees at few addresses, so that most of them meet a live block, and frees and requests go wrong in all
/// ways.
fn requests() -> impl Strategy<Value = Log> {
    const KINDS: [Kind; 5] = [Kind::Allocate, Kind::Allocate, Kind::Free, Kind::Reallocate, Kind::Borrow];
    let event = (prop::sample::select(&KINDS[..]), 0..3u32, 0..6u64, 0..6u64, 0..5u64, any::<u8>());
    prop::collection::vec(event, 0..80).prop_map(|events| {
        let events =
            events.into_iter().enumerate().map(|(at, (kind, thread, address, other, bytes, alignment_log2))| Event {
                address,
                other,
                bytes,
                alignment_log2,
                ..Event::new(at as u64, thread, kind)
            });
        Log { events: events.collect(), ..Log::default() }
    })
}

/// The sizes that are live at the end of a log, in ascending order, by the simplest reading of its events.
fn live_sizes(log: &Log) -> Vec<u64> {
    let mut live = BTreeMap::new();
    for event in &log.events {
        match event.kind {
            Kind::Free => drop(live.remove(&event.address)),
            Kind::Allocate => drop(live.insert(event.address, event.bytes)),
            Kind::Reallocate if event.address != 0 || event.bytes == 0 => {
                live.remove(&event.other);
                live.insert(event.address, event.bytes);
            }
            _ => (),
        }
    }
    live.remove(&0); // a request that failed
    let mut sizes: Vec<u64> = live.into_values().filter(|bytes| *bytes > 0).collect();
    sizes.sort_unstable();
    sizes
}

/// The sizes that are live after some operations. Checks that each finds its slot as it needs it.
fn live_after(operations: &[Operation]) -> Vec<u64> {
    let mut slots = BTreeMap::new();
    for operation in operations {
        let before = match operation.action {
            Action::Free => slots.remove(&operation.slot),
            _ => slots.insert(operation.slot, operation.bytes),
        };
        assert_eq!(before.is_some(), operation.action != Action::Allocate, "{operation:?}");
        assert_eq!(operation.bytes == 0, operation.action == Action::Free, "{operation:?}");
    }
    let mut sizes: Vec<u64> = slots.into_values().collect();
    sizes.sort_unstable();
    sizes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// After each event the live blocks are those of the log; at the end all are freed.
    #[test]
    fn the_live_set_is_that_of_the_log(log in requests()) {
        for length in 0..=log.events.len() {
            let part = Log { events: log.events[..length].to_vec(), ..Log::default() };
            let (operations, notes) = Operations::of(&part);
            let end = operations.list.len() - notes.never_freed as usize;
            prop_assert_eq!(live_after(&operations.list[..end]), live_sizes(&part));
            prop_assert_eq!(live_after(&operations.list), Vec::<u64>::new());
            let count = |action| operations.list.iter().filter(|operation| operation.action == action).count() as u64;
            prop_assert_eq!(notes.allocations, count(Action::Allocate));
            prop_assert_eq!(notes.reallocations, count(Action::Reallocate));
            prop_assert_eq!(notes.allocations, count(Action::Free));
        }
    }

    /// The peak is the most that is live, at the first place where so much is, and slots are no more than blocks at a
    /// time.
    #[test]
    fn the_peak_is_where_it_says(log in requests()) {
        let (operations, _) = Operations::of(&log);
        let lives: Vec<Vec<u64>> = (0..operations.list.len()).map(|at| live_after(&operations.list[..=at])).collect();
        let bytes: Vec<u64> = lives.iter().map(|sizes| sizes.iter().sum()).collect();
        let most = bytes.iter().copied().max().unwrap_or(0);
        prop_assert_eq!(operations.peak_bytes, most);
        prop_assert_eq!(operations.peak_at, bytes.iter().position(|bytes| *bytes == most).unwrap_or(0) as u64);
        prop_assert_eq!(operations.slots as usize, lives.iter().map(Vec::len).max().unwrap_or(0));
    }

    /// Each size is unique here, so sizes in ascending order are events in their order, also those of each thread.
    #[test]
    fn the_order_is_that_of_the_log(mut log in requests()) {
        for (at, event) in log.events.iter_mut().enumerate() {
            event.bytes = at as u64 + 1;
        }
        let (operations, _) = Operations::of(&log);
        let sizes: Vec<u64> = operations.list.iter().map(|operation| operation.bytes).filter(|bytes| *bytes > 0).collect();
        prop_assert!(sizes.is_sorted(), "{sizes:?}");
    }

    /// A log of sizes only has the same operations, also after it was written and read, and nothing else.
    #[test]
    fn a_log_of_sizes_has_the_operations(log in requests(), limit in 0..100usize) {
        let (operations, notes) = Operations::of(&log);
        let stripped = from_bytes(&to_bytes(&sizes_only(&log, usize::MAX))).unwrap();
        let (again, about) = Operations::of(&stripped);
        prop_assert_eq!(&again, &operations);
        prop_assert_eq!(about.begun_before + about.failed + about.empty + about.lost_frees + about.stream_ordered, 0);
        prop_assert!(about.threads <= notes.threads);
        let most = u64::from(operations.slots) * 16;
        prop_assert!(stripped.events.iter().all(|event| event.address <= most && event.other <= most));
        let short = sizes_only(&log, limit);
        prop_assert_eq!(&short.events[..], &stripped.events[..limit.min(stripped.events.len())]);
    }

    #[test]
    fn a_written_file_of_operations_is_read_as_it_was(log in requests()) {
        let (operations, _) = Operations::of(&log);
        prop_assert_eq!(Operations::from_bytes(&operations.to_bytes()).unwrap(), operations);
    }

    /// Any log gives operations, with any sizes and addresses.
    #[test]
    fn any_log_gives_operations(log in support::random::log()) {
        let (operations, _) = Operations::of(&log);
        prop_assert_eq!(live_after(&operations.list), Vec::<u64>::new());
        prop_assert_eq!(Operations::of(&sizes_only(&log, usize::MAX)).0, operations);
    }

    /// A changed or cut file of operations is refused, or what it says is consistent.
    #[test]
    fn a_damaged_file_of_operations_is_refused_or_consistent(
        log in requests(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        whole: bool,
    ) {
        let mut bytes = Operations::of(&log).0.to_bytes();
        for (at, value) in &changes {
            let length = bytes.len();
            bytes[at.index(length)] = *value;
        }
        if !whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(operations) = Operations::from_bytes(&bytes) {
            prop_assert_eq!(live_after(&operations.list), Vec::<u64>::new());
            prop_assert_eq!(operations.to_bytes(), bytes);
        }
    }
}

/// What is left out or done otherwise is counted, and said.
#[test]
fn what_cannot_be_replayed_is_counted() {
    let event = |thread, kind, address, bytes| Event { address, bytes, ..Event::new(0, thread, kind) };
    let moved = |from, to, bytes| Event { other: from, ..event(1, Kind::Reallocate, to, bytes) };
    let events = vec![
        event(1, Kind::Free, 96, 0),       // from before the log
        event(1, Kind::Allocate, 0, 64),   // failed
        event(1, Kind::Allocate, 16, 0),   // empty
        event(1, Kind::Free, 16, 0),       // and its free
        event(1, Kind::Allocate, 32, 100), // its free is lost
        event(2, Kind::Allocate, 32, 200),
        Event { stream: 7, ..event(2, Kind::Allocate, 48, 300) },
        moved(48, 64, 400),
        moved(64, 0, 500), // failed: the block stays
        moved(80, 112, 600),
        moved(112, 0, 0), // as a free
        event(3, Kind::Borrow, 32, 1),
    ];
    let (operations, notes) = Operations::of(&Log { events, ..Log::default() });
    assert_eq!((notes.allocations, notes.reallocations, notes.requests()), (4, 1, 5));
    assert_eq!((notes.begun_before, notes.never_freed, notes.failed, notes.empty), (1, 2, 2, 1));
    assert_eq!((notes.lost_frees, notes.stream_ordered, notes.threads), (1, 1, 2));
    assert_eq!((operations.peak_bytes, operations.peak_at), (1200, 5));
    assert_eq!(notes.remarks().len(), 7);
    assert!(notes.remarks()[6].starts_with("2 threads: "));
    assert_eq!(Operations::of(&Log::default()).1.remarks(), Vec::<String>::new());
}

/// An alignment that no allocator has is taken as the largest, and the pool's own as none.
#[test]
fn alignments_are_those_that_allocators_have() {
    let events = [0, 4, 12, 40, 255].map(|alignment_log2| Event {
        address: 16 + u64::from(alignment_log2),
        bytes: 1,
        alignment_log2,
        ..Event::new(0, 1, Kind::Allocate)
    });
    let (operations, _) = Operations::of(&Log { events: events.to_vec(), ..Log::default() });
    let alignments: Vec<u8> = operations.list[..5].iter().map(|operation| operation.alignment_log2).collect();
    assert_eq!(alignments, [0, 4, 12, 22, 0]);
}

/// The committed logs are small, can be replayed, and have sizes only.
#[test]
fn committed_logs_have_sizes_only() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/logs");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "gz") {
            continue;
        }
        count += 1;
        assert!(path.metadata().unwrap().len() <= 300_000, "{}", path.display());
        let log = read(&path).unwrap();
        assert!(log == sizes_only(&log, usize::MAX), "{}: not as sizes_only writes it", path.display());
        let (operations, notes) = Operations::of(&log);
        assert!(notes.requests() > 1000 && operations.peak_bytes > 1 << 20, "{}: {notes:?}", path.display());
    }
    assert_eq!(count, 3);
}
