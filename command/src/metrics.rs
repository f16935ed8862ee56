//! Reports as metrics, in the text format of OpenMetrics 1.0 (prometheus.io/docs/specs/om).
//!
//! Contract: numbers of pools, clients, arrays and copies, with the names of pools as labels. No name, address or call
//! site of an array: whoever may read metrics need not be allowed to read reports. Names come from other processes, so
//! characters that a terminal obeys are replaced.

use crate::snapshot::{Client, Pool, Snapshot, Stats};
use crate::text::printable;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry, Unit};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

/// One process: its labels, and its report if it gave one.
pub struct Scraped {
    pub process: u32,
    /// The name of the program.
    pub command: String,
    pub report: Option<Snapshot>,
}

type Labels = Vec<(&'static str, String)>;
type Level = Family<Labels, Gauge<u64, AtomicU64>>;
type Total = Family<Labels, Counter>;
/// Name, number and device of a pool.
type PoolLabels<'a> = [(&'static str, &'a str); 3];
type Field<T> = (&'static str, &'static str, fn(&T) -> u64);

const POOL_BYTES: [Field<Stats>; 8] = [
    ("tenure_pool_in_use", "Bytes of live blocks", |stats| stats.in_use_bytes),
    ("tenure_pool_requested", "Bytes that were asked for in live blocks", |stats| stats.requested_bytes),
    ("tenure_pool_cached", "Free bytes that the pool keeps for reuse", |stats| stats.cached_bytes),
    ("tenure_pool_pending", "Bytes that were freed and that a device may still use", |stats| stats.pending_bytes),
    ("tenure_pool_reserved", "Bytes that the pool has from the system or the device", |stats| stats.reserved_bytes),
    ("tenure_pool_peak_in_use", "The most bytes of live blocks since creation", |stats| stats.peak_in_use_bytes),
    ("tenure_pool_limit", "The limit of the bytes in memory; 0: none", |stats| stats.limit_bytes),
    ("tenure_pool_spilled", "Bytes of live blocks in files", |stats| stats.spilled_bytes),
];
const POOL_COUNTS: [Field<Stats>; 8] = [
    ("tenure_pool_allocations", "Allocations that succeeded", |stats| stats.allocation_count),
    ("tenure_pool_deallocations", "Blocks that were freed", |stats| stats.deallocation_count),
    ("tenure_pool_failures", "Calls that failed", |stats| stats.failure_count),
    ("tenure_pool_out_of_memory", "Requests that failed for lack of memory", |stats| stats.oom_count),
    ("tenure_pool_spills", "How often an array was written to a file", |stats| stats.spill_count),
    ("tenure_pool_unspills", "How often an array was read back from a file", |stats| stats.unspill_count),
    ("tenure_pool_misuses", "Invalid frees that were refused", |stats| stats.misuse_count),
    ("tenure_pool_device_allocations", "Calls that allocated memory of the system or the device", |stats| {
        stats.device_allocate_count
    }),
];
const CLIENT_BYTES: [Field<Client>; 2] = [
    ("tenure_client_live", "Bytes of a client's live blocks", |client| client.live_bytes),
    ("tenure_client_peak", "The most bytes of a client's live blocks", |client| client.peak_bytes),
];

/// The families of metrics, in the order of the output.
#[derive(Default)]
struct Families(Registry);

impl Families {
    fn family<M: Metric + Clone + Default>(&mut self, name: &str, help: &str, unit: Option<Unit>) -> M {
        let family = M::default();
        match unit {
            Some(unit) => self.0.register_with_unit(name, help, unit, family.clone()),
            None => self.0.register(name, help, family.clone()),
        }
        family
    }

    fn level(&mut self, name: &str, help: &str) -> Level {
        self.family(name, help, None)
    }

    fn bytes(&mut self, name: &str, help: &str) -> Level {
        self.family(name, help, Some(Unit::Bytes))
    }
}

/// The metrics of processes, as text.
pub fn text(scraped: &[Scraped]) -> String {
    let mut families = Families::default();
    let up = families.level("tenure_up", "Whether the process answered");
    for process in scraped {
        up.get_or_create(&labels(process, &[])).set(u64::from(process.report.is_some()));
    }
    pools(&mut families, scraped);
    stores(&mut families, scraped);
    copies(&mut families, scraped);
    let mut text = String::new();
    encode(&mut text, &families.0).expect("a String takes all text");
    text
}

fn labels(process: &Scraped, more: &[(&'static str, &str)]) -> Labels {
    let own = [("process", process.process.to_string()), ("command", printable(&process.command).into_owned())];
    own.into_iter().chain(more.iter().map(|(name, value)| (*name, printable(value).into_owned()))).collect()
}

fn pools(families: &mut Families, scraped: &[Scraped]) {
    let each_pool = |visit: &mut dyn FnMut(&Scraped, &Pool, PoolLabels<'_>)| {
        for (process, report) in answers(scraped) {
            for pool in &report.pools {
                let id = pool.id.to_string();
                visit(process, pool, [("pool", &pool.name), ("pool_id", &id), ("device", &pool.device)]);
            }
        }
    };
    for (name, help, value) in POOL_BYTES {
        let family = families.bytes(name, help);
        each_pool(&mut |process, pool, own| {
            family.get_or_create(&labels(process, &own)).set(value(&pool.stats));
        });
    }
    for (name, help, value) in POOL_COUNTS {
        let family: Total = families.family(name, help, None);
        each_pool(&mut |process, pool, own| {
            family.get_or_create(&labels(process, &own)).inc_by(value(&pool.stats));
        });
    }
    let each_client = |family: &dyn Fn(&Labels, &Client)| {
        each_pool(&mut |process, pool, own| {
            for client in &pool.clients {
                let own: Vec<_> = own.into_iter().chain([("client", client.name.as_str())]).collect();
                family(&labels(process, &own), client);
            }
        });
    };
    for (name, help, value) in CLIENT_BYTES {
        let family = families.bytes(name, help);
        each_client(&|labels, client| {
            family.get_or_create(labels).set(value(client));
        });
    }
    let blocks = families.level("tenure_client_live_blocks", "A client's live blocks");
    each_client(&|labels, client| {
        blocks.get_or_create(labels).set(client.live_blocks);
    });
}

fn stores(families: &mut Families, scraped: &[Scraped]) {
    let bytes = families.bytes("tenure_arrays", "Bytes of arrays that are held, by device");
    let holders =
        families.level("tenure_holders", "Handles, promises, borrows and exports that hold the listed arrays");
    let poisoned = families.level("tenure_poisoned_arrays", "Listed arrays that a failed writer left undefined");
    for (process, report) in answers(scraped) {
        let mut by_device: BTreeMap<&str, u64> = BTreeMap::new();
        let mut by_kind: BTreeMap<&str, u64> = BTreeMap::new();
        for store in &report.stores {
            let sum = by_device.entry(&store.device).or_default();
            *sum = sum.saturating_add(store.bytes);
            for holder in &store.holders {
                *by_kind.entry(&holder.kind).or_default() += 1;
            }
        }
        // Their device is that of their pool; imported memory has none, and is the host's.
        for other in &report.more_stores {
            let of_pool = report.pools.iter().find(|pool| Some(pool.id) == other.pool);
            let sum = by_device.entry(of_pool.map_or("cpu", |pool| &pool.device)).or_default();
            *sum = sum.saturating_add(other.bytes);
        }
        for (device, sum) in by_device {
            bytes.get_or_create(&labels(process, &[("device", device)])).set(sum);
        }
        for (kind, count) in by_kind {
            holders.get_or_create(&labels(process, &[("kind", kind)])).set(count);
        }
        let failed = report.stores.iter().filter(|store| store.flags.iter().any(|flag| flag == "poisoned"));
        poisoned.get_or_create(&labels(process, &[])).set(failed.count() as u64);
    }
}

fn copies(families: &mut Families, scraped: &[Scraped]) {
    let count: Total = families.family("tenure_copies", "Copies at borders, by function and reason", None);
    let bytes: Total =
        families.family("tenure_copied", "Bytes of copies at borders, by function and reason", Some(Unit::Bytes));
    for (process, report) in answers(scraped) {
        let mut by_reason: BTreeMap<(&str, String, bool), (u64, u64)> = BTreeMap::new();
        for copy in &report.copies {
            let sums = by_reason.entry((&copy.function, copy.why.join("+"), copy.forced)).or_default();
            *sums = (sums.0.saturating_add(copy.count), sums.1.saturating_add(copy.bytes));
        }
        for ((function, why, forced), sums) in by_reason {
            let own = [("function", function), ("why", &why), ("forced", if forced { "true" } else { "false" })];
            count.get_or_create(&labels(process, &own)).inc_by(sums.0);
            bytes.get_or_create(&labels(process, &own)).inc_by(sums.1);
        }
    }
}

/// The processes that answered.
fn answers(scraped: &[Scraped]) -> impl Iterator<Item = (&Scraped, &Snapshot)> {
    scraped.iter().filter_map(|process| Some((process, process.report.as_ref()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot;
    use crate::snapshot::tests::{answers, rounds};
    use crate::text::sum;
    use proptest::prelude::*;
    use tenure::names::is_obeyed;

    proptest! {
        #![proptest_config(rounds())]

        /// CO-51: any answer gives well-formed text, without a character that a terminal obeys.
        #[test]
        fn co_51_any_answer_gives_lines_of_metrics(answer in answers()) {
            let Ok(report) = snapshot::parse(&answer, "the answer") else { return Ok(()) };
            let total = sum(&report.pools, |pool| pool.stats.in_use_bytes);
            let silent = Scraped { process: 8, command: "b\"\n".to_owned(), report: None };
            let text = text(&[Scraped { process: 7, command: "a".to_owned(), report: Some(report) }, silent]);
            prop_assert!(text.ends_with("# EOF\n") && !text.contains(|c| c != '\n' && is_obeyed(c)));
            let samples = text.lines().filter(|line| !line.starts_with('#'));
            for line in samples.clone() {
                let (name, value) = line.rsplit_once(' ').expect("a sample has a value");
                prop_assert!(name.starts_with("tenure_") && name.ends_with('}') && value.parse::<u64>().is_ok(), "{line}");
            }
            let shown = samples.filter(|line| line.starts_with("tenure_pool_in_use_bytes{"));
            let shown = sum(shown, |line| line.rsplit_once(' ').unwrap().1.parse().unwrap());
            // Pools with the same labels are one.
            prop_assert!(shown <= total);
        }
    }
}
