//! Event logs of Tenure and logs of RMM: any bytes are a log, which is written in each format and read again, or an
//! error that names the place.

use tenure_event_log::operations::Operations;
use tenure_event_log::{Event, Format, Kind, Log, from_bytes, to_bytes};

/// The bytes of a file, also a packed one.
pub fn event_log(bytes: &[u8]) {
    let log = match from_bytes(bytes) {
        Ok(log) => log,
        Err(error) => return assert!(error.to_string().contains(" at byte "), "{error}"),
    };
    assert_eq!(from_bytes(&to_bytes(&log)).expect("a log was written"), log);
    for format in Format::ALL {
        format.write(&log, false, std::io::sink()).expect("a sink takes everything");
    }
    let (operations, _) = Operations::of(&log);
    let again = Operations::from_bytes(&operations.to_bytes()).expect("what was written");
    assert_eq!(again.to_bytes(), operations.to_bytes());
}

/// An empty log, blocks that are allocated and freed by two threads, both packed too, and the same as RMM writes it.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut log = Log { version: "0.1.0".to_owned(), ..Log::default() };
    let empty = to_bytes(&log);
    log.kinds = u64::MAX;
    log.sites.insert(1, "step.c:12".to_owned());
    log.pools.insert(1, "default".to_owned());
    for time in 0..12 {
        let (thread, address) = (1 + (time % 2) as u32, 0x7000_0000 + time / 2 * 4096);
        let kind = if time % 2 == 0 { Kind::Allocate } else { Kind::Free };
        log.events.push(Event {
            address,
            bytes: 100 * (1 + time / 2),
            pool: 1,
            site: 1,
            ..Event::new(time, thread, kind)
        });
    }
    let text = Some("a name that is longer than one slot has room for".into());
    log.events.push(Event { text, ..Event::new(12, 1, Kind::Name) });
    let mut packed = Vec::new();
    Format::Log.write(&log, true, &mut packed).expect("a list takes everything");
    let mut rmm = Vec::new();
    Format::Rmm.write(&log, false, &mut rmm).expect("a list takes everything");
    vec![empty, to_bytes(&log), packed, rmm]
}
