//! A log in which everything happens once.

use tenure_event_log::{Event, Kind, Log};

/// A short log with an event of each kind, and with what converters must get right.
pub fn story() -> Log {
    const KIB: u64 = 1 << 10;
    const SMALL: u64 = 0x7f00_0000_1000;
    const WEIGHTS: u64 = 0x7f00_0020_0000;
    let mut time_ns = 0;
    let mut event = |thread, kind| {
        time_ns += 1_500;
        Event::new(time_ns, thread, kind)
    };
    let borrow = |event: Event, guard, detail| Event {
        subject: 0x51,
        address: WEIGHTS,
        bytes: KIB,
        other: guard,
        detail,
        ..event
    };
    let events = vec![
        // A block that is older than the log.
        Event { address: 0x7f00_0100_0000, bytes: 512, pool: 1, ..event(11, Kind::Free) },
        Event { address: SMALL, bytes: 4 * KIB, pool: 1, client: 2, site: 1, ..event(11, Kind::Allocate) },
        Event { detail: 1, address: WEIGHTS, bytes: KIB, pool: 2, site: 2, stream: 7, ..event(11, Kind::Allocate) },
        Event { subject: 0x51, address: WEIGHTS, text: Some("weights".into()), ..event(11, Kind::Name) },
        // Borrows that nest, then borrows that overlap.
        borrow(event(11, Kind::Borrow), 0x61, 0),
        borrow(event(11, Kind::Borrow), 0x62, 1),
        borrow(event(11, Kind::Borrow), 0x62, 2),
        borrow(event(11, Kind::Borrow), 0x61, 2),
        borrow(event(11, Kind::Borrow), 0x63, 0),
        borrow(event(11, Kind::Borrow), 0x64, 0),
        borrow(event(11, Kind::Borrow), 0x63, 2),
        borrow(event(12, Kind::Borrow), 0x64, 2),
        Event { other: 1 << 8 | 1 << 9, bytes: 64, detail: 1, site: 1, ..event(11, Kind::Copy) },
        Event { address: WEIGHTS, other: 0x9000, bytes: KIB, detail: 1, stream: 7, ..event(11, Kind::Transfer) },
        Event { subject: 0x51, address: WEIGHTS, bytes: KIB, ..event(11, Kind::Export) },
        Event { subject: 0x51, address: WEIGHTS, bytes: KIB, detail: 2, ..event(12, Kind::Export) },
        Event { subject: 0x53, address: 0xa000, bytes: 8, ..event(12, Kind::Import) },
        Event { subject: 0x51, address: WEIGHTS, bytes: KIB, other: 0x71, site: 2, ..event(11, Kind::Give) },
        Event { subject: 0x52, address: WEIGHTS, bytes: KIB, other: 0x71, ..event(12, Kind::Take) },
        // In place, then elsewhere.
        Event { address: SMALL, other: SMALL, bytes: 8 * KIB, pool: 1, client: 2, ..event(11, Kind::Reallocate) },
        Event {
            address: 0x7f00_0040_0000,
            other: SMALL,
            bytes: 9 * KIB,
            pool: 1,
            client: 2,
            ..event(11, Kind::Reallocate)
        },
        Event { bytes: 1 << 40, pool: 1, client: 2, site: 1, ..event(12, Kind::Allocate) },
        // Its free was lost: the memory is allocated once more.
        Event { address: 0x7f00_0040_0400, bytes: 100, pool: 1, client: 3, ..event(12, Kind::Allocate) },
        Event { detail: 1, address: WEIGHTS, ..event(12, Kind::Free) },
        borrow(event(12, Kind::Borrow), 0x65, 1),
        Event { subject: 0x54, address: 0x7f00_0040_0400, text: Some("ü \"two\"".into()), ..event(12, Kind::Name) },
    ];
    Log {
        start_unix_ns: 1_700_000_000_123_456_789,
        pid: 4242,
        kinds: u64::MAX,
        dropped: 1,
        wrapped: true,
        version: "0.1.0".to_owned(),
        events,
        sites: [(1, "step.c:41".to_owned()), (2, "C:/train.py:7".to_owned())].into(),
        pools: [(1, "staging".to_owned())].into(),
    }
}
