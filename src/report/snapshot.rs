//! The snapshot: the holders of memory at this moment, as JSON (described by `docs/report.schema.json`).
//!
//! Contract: works without memory. Holders found under a lock are kept in a small buffer on the stack, or a larger one if the heap has
//! memory, and written under no lock, part by part. Each store and each pool is consistent; the whole is not, since other threads may make
//! and release handles meanwhile.

use super::json::Json;
use super::open_handles;
use crate::borrow::{self, HolderInfo, Store};
use crate::copy_stats;
use crate::layout::Form;
use crate::ledger;
use crate::names;
use crate::pool::{self, Client, Located, Pool};
use crate::sites::Site;
use crate::sys::instances;
use crate::types::*;
use core::cell::Cell;
use core::fmt::Write;
use smallvec::SmallVec;

/// Version of the format. It changes if readers of the old format could misread the new one.
const SCHEMA: u32 = 1;

/// Number of holders in the buffer on the stack.
const PART: usize = 32;

/// Writes the report.
pub fn write(sink: &mut dyn Write) {
    let mut json = Json::new(sink);
    json.open('{');
    json.number("schema", SCHEMA);
    write_version(&mut json, TN_VERSION);
    json.number("process", std::process::id());
    json.number("time_ns", crate::sys::os::coarse_time_ns());
    json.open_field("libraries", '[');
    instances::each(|copy| write_library(&mut json, copy));
    json.close(']');
    json.open_field("pools", '[');
    pool::each_pool(|pool| write_pool(&mut json, pool));
    json.close(']');
    json.open_field("stores", '[');
    ledger::each_store(|tag| write_store(&mut json, tag));
    json.close(']');
    json.open_field("blocks", '[');
    write_blocks(&mut json);
    json.close(']');
    json.open_field("open", '[');
    in_parts(&mut |visit| open_handles::without_bytes(visit), &mut |holder| write_holder(&mut json, holder));
    json.close(']');
    json.open_field("copies", '[');
    copy_stats::copies(&mut |_, copies| write_copies(&mut json, &copies), usize::MAX);
    json.close(']');
    json.close('}');
}

fn write_version(json: &mut Json<'_>, version: u32) {
    json.open_field("version", '[');
    [version >> 16, version >> 8 & 0xff, version & 0xff].into_iter().for_each(|part| json.value(part));
    json.close(']');
}

fn write_library(json: &mut Json<'_>, copy: &instances::Found) {
    json.open('{');
    json.text("path", copy.path());
    write_version(json, copy.version);
    match copy.generation {
        Some(generation) => json.bits("first_generation", generation.into()),
        None => json.null("first_generation"),
    }
    json.flag("this", copy.is_this);
    json.close('}');
}

/// A callback that receives holders as they are found.
type Visit<'a> = &'a mut dyn FnMut(HolderInfo);

/// Runs `each`, which may visit under a lock, and writes what it found under no lock. Repeats until all is written, unless there is memory
/// for all at once.
fn in_parts(each: &mut dyn FnMut(Visit<'_>), write: &mut dyn FnMut(&HolderInfo)) {
    let mut part: SmallVec<[HolderInfo; PART]> = SmallVec::new();
    let mut done = 0;
    loop {
        let mut seen = 0;
        part.clear();
        each(&mut |holder| {
            if seen >= done && part.len() < part.capacity() {
                part.push(holder);
            }
            seen += 1;
        });
        part.iter().for_each(&mut *write);
        done += part.len();
        if part.is_empty() || done >= seen {
            return;
        }
        // Without memory it continues in small parts.
        let _ = part.try_reserve(seen - done);
    }
}

/// "cpu", "cuda:1".
fn write_device(json: &mut Json<'_>, device: tn_device) {
    let name = names::device_type_name(device.r#type);
    if device.r#type == TN_CPU {
        return json.text("device", name);
    }
    let mut text = crate::error::Text::new();
    let _ = write!(text, "{name}:{}", device.id);
    json.text("device", text.as_str());
}

macro_rules! figures {
    ($json:ident, $stats:ident, $($field:ident)*) => { $($json.number(stringify!($field), $stats.$field);)* };
}

fn write_pool(json: &mut Json<'_>, pool: &'static Pool) {
    let stats = pool.query();
    json.open('{');
    json.number("id", pool.serial());
    json.text("name", pool.name().as_str());
    write_device(json, pool.device());
    json.flag("released", pool.is_retired());
    write_memory(json, pool.memory_flags());
    json.open_field("stats", '{');
    figures!(json, stats, requested_bytes in_use_bytes cached_bytes pending_bytes overhead_bytes reserved_bytes address_bytes
        huge_bytes metadata_bytes peak_in_use_bytes peak_reserved_bytes peak_requested_bytes allocation_count
        deallocation_count reallocation_count failure_count live_blocks hit_count thread_hit_count device_allocate_count
        device_free_count device_bytes_total trim_count pressure_count oom_count misuse_count zero_bytes_skipped
        largest_free_bytes limit_bytes thread_count held_bytes shared_out_bytes serial);
    json.close('}');
    json.open_field("clients", '[');
    write_clients(json, pool);
    json.close(']');
    json.open_field("classes", '[');
    pool.each_class(|class| {
        json.open('{');
        figures!(json, class, block_bytes span_bytes live_blocks cached_blocks span_count allocation_count hit_count);
        json.close('}');
    });
    json.close(']');
    json.open_field("segments", '[');
    pool.each_segment(|segment| {
        json.open('{');
        json.bits("address", segment.start as u64);
        json.number("bytes", segment.bytes as u64);
        json.number("spans", segment.spans as u64);
        json.number("live_blocks", segment.live_blocks as u64);
        json.number("live_bytes", segment.live_bytes as u64);
        json.close('}');
    });
    json.close(']');
    json.close('}');
}

/// The kind of a pool's memory, with warnings.
fn write_memory(json: &mut Json<'_>, flags: u32) {
    json.open_field("memory", '[');
    let words = [(TN_PINNED, "pinned"), (TN_MAPPED, "mapped"), (TN_WRITE_COMBINED, "write_combined")];
    words.into_iter().filter(|(flag, _)| flags & flag != 0).for_each(|(_, word)| json.item(word));
    json.close(']');
    json.open_field("warnings", '[');
    if flags & TN_WRITE_COMBINED != 0 {
        json.item("the host reads write-combined memory very slowly; let it only write there");
    }
    json.close(']');
}

/// The clients of a pool: arrays, direct callers, and each library that allocates from it.
fn write_clients(json: &mut Json<'_>, pool: &'static Pool) {
    pool.each_client(|client| {
        json.open('{');
        json.text("name", Client::all().nth(client.client as usize).map_or("other", Client::name));
        figures!(json, client, live_blocks live_bytes requested_bytes peak_bytes allocation_count failure_count misuse_count
            mismatch_count);
        json.close('}');
    });
}

fn write_store(json: &mut Json<'_>, tag: u64) {
    let store: Cell<Option<Store>> = Cell::new(None);
    let mut begun = false;
    in_parts(
        &mut |visit| {
            if let Some((locked, ledger)) = ledger::lock_tag(tag) {
                store.set(store.get().or_else(|| Some(borrow::store_of(&locked, ledger))));
                borrow::all_holders(&locked, ledger, visit);
            }
        },
        &mut |holder| {
            // A store without a holder is about to end, and is left out.
            if let Some(store) = store.get().filter(|_| !core::mem::replace(&mut begun, true)) {
                begin_store(json, &store);
            }
            write_holder(json, holder);
        },
    );
    if begun {
        json.close(']');
        json.close('}');
    }
}

/// Writes a store up to its list of holders.
fn begin_store(json: &mut Json<'_>, store: &Store) {
    json.open('{');
    json.bits("address", store.address);
    json.number("bytes", store.bytes);
    write_device(json, store.device);
    match store.pool {
        Some(pool) => json.number("pool", pool.serial()),
        None => json.null("pool"),
    }
    json.number("version", store.version);
    json.number("imports", store.imports);
    json.open_field("flags", '[');
    let flags = [
        ("readonly", store.flags & TN_READONLY != 0),
        ("foreign", store.flags & TN_FOREIGN != 0),
        ("file", store.file),
        ("poisoned", store.poisoned),
    ];
    flags.iter().filter(|(_, on)| *on).for_each(|(name, _)| json.item(name));
    json.close(']');
    json.open_field("holders", '[');
}

fn write_holder(json: &mut Json<'_>, holder: &HolderInfo) {
    json.open('{');
    json.text("kind", kind(holder.kind));
    json.bits("id", holder.id);
    json.text("name", holder.name.as_str());
    json.text("site", holder.origin.site().name().as_str());
    json.number("thread", holder.origin.thread);
    json.number("time_ns", holder.time_ns);
    json.number("bytes", holder.bytes);
    if holder.form != Form::Full {
        json.text("form", holder.form.name());
    }
    if holder.registered > 0 {
        json.number("registered_bytes", holder.registered);
    }
    json.close('}');
}

/// The name of a TN_HOLDER_ constant, in lower case.
fn kind(kind: tn_holder_kind) -> &'static str {
    match kind {
        TN_HOLDER_HANDLE => "handle",
        TN_HOLDER_PROMISE => "promise",
        TN_HOLDER_EXPRESSION => "expression",
        TN_HOLDER_SHARED_VARIABLE => "shared_variable",
        TN_HOLDER_EXPORT_READ => "export_read",
        TN_HOLDER_EXPORT_SHARED => "export_shared",
        TN_HOLDER_EXPORT_EXCLUSIVE => "export_exclusive",
        TN_HOLDER_GUARD_READ => "guard_read",
        TN_HOLDER_GUARD_WRITE => "guard_write",
        TN_HOLDER_BLOCK => "block",
        TN_HOLDER_POOL => "pool",
        TN_HOLDER_STREAM => "stream",
        TN_HOLDER_EVENT => "event",
        TN_HOLDER_SCOPE => "scope",
        TN_HOLDER_WEAK => "weak",
        TN_HOLDER_FUNCTION => "function",
        TN_HOLDER_MIRROR => "mirror",
        TN_HOLDER_QUEUED_RELEASE => "queued_release",
        _ => "unknown",
    }
}

/// Raw blocks of one pool, client and call site.
#[derive(Clone, Copy)]
struct Group {
    pool: u64,
    client: Client,
    site: u32,
    blocks: u64,
    bytes: u64,
    largest: u64,
    largest_at: u64,
}

impl Group {
    const NONE: Group = Group { pool: 0, client: Client::RAW, site: 0, blocks: 0, bytes: 0, largest: 0, largest_at: 0 };

    fn is_of(&self, key: Key) -> bool {
        (self.pool, self.client, self.site) == key
    }

    fn add(&mut self, block: &Located) {
        (self.blocks, self.bytes) = (self.blocks + 1, self.bytes + block.usable as u64);
        if block.usable as u64 > self.largest {
            (self.largest, self.largest_at) = (block.usable as u64, block.start as u64);
        }
    }
}

/// The key of a group: pool, client, call site.
type Key = (u64, Client, u32);

/// Number of groups if there is memory for them; a power of two.
const GROUPS: usize = 4096;
/// Number of entries that a search visits before the group counts as not fitting.
const PROBES: usize = 32;

/// Writes raw blocks grouped by pool, client and call site, because programs that allocate through another library have very many. Blocks
/// that do not fit into the groups are in one group without pool and site.
fn write_blocks(json: &mut Json<'_>) {
    let mut groups: SmallVec<[Group; PART]> = SmallVec::new();
    let _ = groups.try_reserve_exact(GROUPS);
    let length = if groups.capacity() >= GROUPS { GROUPS } else { PART };
    groups.resize(length, Group::NONE);
    let mut rest = Group::NONE;
    pool::each_block(|block| {
        if block.owner == 0 {
            let key = (block.pool.serial(), block.client, block.site);
            match find(&groups, key) {
                Some(at) => {
                    (groups[at].pool, groups[at].client, groups[at].site) = key;
                    groups[at].add(block);
                }
                None => rest.add(block),
            }
        }
    });
    for group in groups.iter().chain([&rest]).filter(|group| group.blocks > 0) {
        json.open('{');
        match group.pool {
            0 => json.null("pool"),
            pool => json.number("pool", pool),
        }
        json.text("client", if group.pool == 0 { "any" } else { group.client.name() });
        json.text("site", Site::from_number(group.site).name().as_str());
        json.number("blocks", group.blocks);
        json.number("bytes", group.bytes);
        json.number("largest_bytes", group.largest);
        json.bits("largest_address", group.largest_at);
        json.close('}');
    }
}

/// The group of a key, or a free entry for it.
fn find(groups: &[Group], key: Key) -> Option<usize> {
    let (pool, client, site) = key;
    let mixed =
        (pool << 40 ^ (client.index() as u64) << 32 ^ u64::from(site)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    (0..PROBES.min(groups.len()))
        .map(|probe| (mixed as usize + probe) % groups.len())
        .find(|at| groups[*at].blocks == 0 || groups[*at].is_of(key))
}

/// The names of the TN_WHY_ bits, in lower case.
const WHY: [&str; 12] = [
    "given",
    "shared",
    "in_expression",
    "exported",
    "borrowed",
    "readonly",
    "foreign",
    "poisoned",
    "layout",
    "device",
    "waste",
    "not_aliasable",
];

fn write_copies(json: &mut Json<'_>, copies: &copy_stats::Copies) {
    json.open('{');
    let function = copies.key.function.unwrap_or(c"other");
    json.text("function", function.to_str().unwrap_or(""));
    json.text("site", copies.key.site.name().as_str());
    json.open_field("why", '[');
    let names = WHY.iter().enumerate().filter(|(bit, _)| copies.key.why & (1 << bit) != 0);
    names.for_each(|(_, name)| json.item(name));
    json.close(']');
    json.flag("forced", copies.key.forced);
    json.number("count", copies.count);
    json.number("bytes", copies.bytes);
    json.close('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart_as_long_as_there_is_room() {
        let mut groups = [Group::NONE; PART];
        let key = |number: u32| (7, if number.is_multiple_of(2) { Client::RAW } else { Client::NUMPY }, number / 2);
        for number in 0..PART as u32 {
            let at = find(&groups, key(number)).expect("there is room");
            assert_eq!(groups[at].blocks, 0, "a place of its own");
            let (pool, client, site) = key(number);
            groups[at] = Group { pool, client, site, blocks: 1, ..Group::NONE };
        }
        assert!((0..PART as u32).all(|number| groups[find(&groups, key(number)).unwrap()].is_of(key(number))));
        assert!(find(&groups, key(40)).is_none() && find(&groups, (8, Client::RAW, 0)).is_none());
    }

    #[test]
    fn parts_are_written_once_each_and_in_order() {
        let holder = |id| HolderInfo {
            kind: TN_HOLDER_WEAK,
            device: crate::array::HOST,
            id,
            bytes: 0,
            origin: ledger::Origin::default(),
            time_ns: 0,
            name: crate::names::Name::NONE,
            form: Form::Full,
            registered: 0,
        };
        let mut seen = Vec::new();
        in_parts(&mut |visit| (0..1000).for_each(|id| visit(holder(id))), &mut |holder| seen.push(holder.id));
        assert_eq!(seen, (0..1000).collect::<Vec<_>>());
    }
}
