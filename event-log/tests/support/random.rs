//! Random logs.

use proptest::prelude::*;
use tenure_event_log::{Event, Kind, Log};

/// Any log that [`tenure_event_log::read`] could have given.
pub fn log() -> impl Strategy<Value = Log> {
    let text = || "\\PC{0,15}";
    let head = (any::<[u64; 4]>(), any::<bool>(), "[0-9.a-z]{0,16}");
    let sites = prop::collection::btree_map(any::<u32>(), text(), 0..4);
    let pools = prop::collection::btree_map(any::<u64>(), text(), 0..4);
    let events = prop::collection::vec(event(), 0..60);
    (head, sites, pools, events).prop_map(|((numbers, wrapped, version), sites, pools, events)| {
        let [start_unix_ns, pid, kinds, dropped] = numbers;
        let mut log = Log { start_unix_ns, pid, kinds, dropped, wrapped, version, events, sites, pools };
        log.sort();
        log
    })
}

/// Any event, of few threads and often at the same time.
fn event() -> impl Strategy<Value = Event> {
    let time = prop_oneof![0..4u64, 0..=i64::MAX as u64];
    let words = (any::<[u8; 3]>(), any::<u32>(), any::<[u64; 6]>());
    (time, 0..3u32, prop::sample::select(&Kind::ALL[..]), words, "\\PC{0,15}").prop_map(
        |(time_ns, thread, kind, ([detail, alignment_log2, client], site, words), text)| {
            let [subject, address, mut bytes, mut other, mut pool, mut stream] = words;
            let named = kind == Kind::Name;
            if named {
                [bytes, other, pool, stream] = [0; 4];
            }
            let text = named.then(|| text.into());
            Event {
                time_ns,
                thread,
                kind,
                detail,
                alignment_log2,
                client,
                site,
                subject,
                address,
                bytes,
                other,
                pool,
                stream,
                text,
            }
        },
    )
}
