//! The file: round trips, files that end early, and bytes that are no log.

mod support {
    pub mod random;
}

use proptest::prelude::*;
use tenure_event_log::{Error, Event, Kind, Log, from_bytes, read, to_bytes, write};

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_written_log_is_read_as_it_was(log in support::random::log()) {
        prop_assert_eq!(from_bytes(&to_bytes(&log)).unwrap(), log);
    }

    /// Cut anywhere, it is a shorter log, or the error names where it ends.
    #[test]
    fn a_cut_log_is_a_shorter_log(log in support::random::log(), part in 0.0..1.0f64) {
        let bytes = to_bytes(&log);
        let length = (bytes.len() as f64 * part) as usize;
        match from_bytes(&bytes[..length]) {
            Ok(shorter) => prop_assert!(shorter.events.len() <= log.events.len()),
            Err(Error::Malformed { offset, .. }) => prop_assert!(length < 4096 && [0, length as u64].contains(&offset)),
            Err(error) => panic!("{error}"),
        }
    }

    /// Bytes changed anywhere give a log or an error. A log that was read can be written.
    #[test]
    fn a_damaged_log_is_a_log_or_an_error(
        log in support::random::log(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let mut bytes = to_bytes(&log);
        for (at, value) in &changes {
            // Half of the changes hit the headers.
            let length = bytes.len();
            let within = if value % 2 == 0 { length } else { length.min(4096 + 256) };
            bytes[at.index(within)] = *value;
        }
        check(&bytes);
    }

    #[test]
    fn any_bytes_are_a_log_or_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..9000), begins_well: bool) {
        if begins_well {
            let header = to_bytes(&Log::default());
            bytes.splice(..bytes.len().min(100), header[..100].iter().copied());
        }
        check(&bytes);
    }

    #[test]
    fn any_bytes_behind_the_mark_of_gzip_are_a_log_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&[&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], &bytes[..]].concat());
    }
}

fn check(bytes: &[u8]) {
    match from_bytes(bytes) {
        Ok(log) => assert_eq!(from_bytes(&to_bytes(&log)).unwrap(), log),
        Err(error) => assert!(error.to_string().contains(" at byte "), "{error}"),
    }
}

/// Chunks of one thread are joined in the order of their sequence numbers, also where a text goes on in the next one.
#[test]
fn chunks_in_any_order_are_one_log() {
    let name = |time| Event {
        text: Some("a name that is longer than twenty-four bytes".into()),
        ..Event::new(time, 7, Kind::Name)
    };
    let events = (0..1022).map(|time| Event::new(time, 7, Kind::Free)).chain((1022..1500).map(name)).collect();
    let log = Log { events, ..Log::default() };
    let mut bytes = to_bytes(&log);
    bytes.resize(4096 + 2 * 65536, 0);
    let (first, second) = bytes[4096..].split_at_mut(65536);
    first.swap_with_slice(second);
    assert_eq!(from_bytes(&bytes).unwrap(), log);
}

/// Ticks become time by the two moments of the header; without the later one they are nanoseconds.
#[test]
fn ticks_become_nanoseconds() {
    let log = Log { events: vec![Event::new(3000, 1, Kind::Free)], ..Log::default() };
    let mut bytes = to_bytes(&log);
    bytes[64..72].copy_from_slice(&2001u64.to_le_bytes());
    assert_eq!(from_bytes(&bytes).unwrap().events[0].time_ns, 3000, "the later moment is not known");
    bytes[72..80].copy_from_slice(&1000u64.to_le_bytes());
    assert_eq!(from_bytes(&bytes).unwrap().events[0].time_ns, 1500);
}

/// The counter of another processor may be behind: a thread's events keep their order.
#[test]
fn time_never_goes_back_in_a_thread() {
    let mut log = Log { events: vec![Event::new(9, 1, Kind::Give), Event::new(5, 1, Kind::Free)], ..Log::default() };
    let read = from_bytes(&to_bytes(&log)).unwrap();
    log.events[1].time_ns = 9;
    assert_eq!(read, log);
}

#[test]
fn unknown_slots_are_skipped() {
    let log = Log { events: vec![Event::new(1, 1, Kind::Give), Event::new(2, 1, Kind::Take)], ..Log::default() };
    let mut bytes = to_bytes(&log);
    bytes[4096 + 64 + 8] = 63;
    let read = from_bytes(&bytes).unwrap();
    assert_eq!(read.events, log.events[1..]);
}

#[test]
fn errors_say_what_to_do() {
    let good = to_bytes(&Log { events: vec![Event::new(1, 1, Kind::Give)], ..Log::default() });
    let changed = |offset: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[offset] = value;
        from_bytes(&bytes).unwrap_err().to_string()
    };
    let texts = [
        from_bytes(b"").unwrap_err().to_string(),
        from_bytes(&good[..100]).unwrap_err().to_string(),
        changed(8, 2),
        changed(12, 1),
        changed(4096, 1),
        changed(4096 + 10, 1),
        from_bytes(&[0x1f, 0x8b, 8]).unwrap_err().to_string(),
    ];
    assert_eq!(
        texts.join("\n"),
        "no event log begins at byte 0; name a file that Tenure or RMM's logging adaptor recorded\n\
         the header ends at byte 100; copy the whole file; its header has 4096 bytes\n\
         version 2 of the format, not 1, is named at byte 8; use the tenure command of the library that recorded it\n\
         chunks of 65537 bytes, not 65536, are named at byte 12; the file is damaged: record it again\n\
         a chunk without its mark is at byte 4096; the file is damaged: record it again\n\
         a chunk with 65537 of 1023 slots is at byte 4096; the file is damaged: record it again\n\
         gzip cannot unpack the log (unexpected end of file) at byte 0; save it again"
    );
}

#[test]
fn a_log_is_packed_if_its_name_says_so() {
    let events: Vec<_> = (0..5000).map(|time| Event { bytes: 4096, ..Event::new(time, 1, Kind::Allocate) }).collect();
    let log = Log { events, version: "0.1.0".to_owned(), ..Log::default() };
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let [plain, packed] = ["plain.tnlog", "packed.tnlog.gz"].map(|name| folder.join(name));
    for path in [&plain, &packed] {
        write(path, &log).unwrap();
        assert_eq!(read(path).unwrap(), log);
    }
    let size = |path| std::fs::metadata(path).unwrap().len();
    assert!(size(&packed) * 10 < size(&plain));
}
