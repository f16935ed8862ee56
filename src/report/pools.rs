//! Pools in a report: statistics, clients, size classes, and the map of segments, spans and blocks.
//!
//! Contract: allocates nothing. Each pool's statistics are of one moment. The map is bounded, see `pool::memory_map`.
#![forbid(unsafe_code)]

use super::json::Json;
use crate::names;
use crate::pool::{self, Client, MapPart, Pool, Run};
use crate::sites::Site;
use crate::types::*;
use core::fmt::Write;

/// "cpu", "cuda:1".
pub(super) fn write_device(json: &mut Json<'_>, device: tn_device) {
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

/// Writes a pool with its statistics, clients, classes and the map of its memory.
pub(super) fn write_pool(json: &mut Json<'_>, pool: &'static Pool, map: &mut MapBudget) {
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
        largest_free_bytes limit_bytes thread_count held_bytes shared_out_bytes serial spilled_bytes spill_count unspill_count);
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
    pool.each_run(map.runs, |part| write_part_of_map(json, part, map));
    json.close(']');
    json.close('}');
}

fn write_part_of_map(json: &mut Json<'_>, part: MapPart<'_>, map: &mut MapBudget) {
    match part {
        MapPart::Begin(start) => {
            json.open('{');
            json.bits("address", start as u64);
            json.open_field("map", '[');
        }
        MapPart::Run(run) => write_run(json, run, map),
        MapPart::End(segment) => {
            json.close(']');
            json.number("bytes", segment.bytes as u64);
            json.number("spans", segment.spans as u64);
            json.number("live_blocks", segment.live_blocks as u64);
            json.number("live_bytes", segment.live_bytes as u64);
            json.close('}');
        }
    }
}

/// Writes a run of spans. A free one has its length only.
fn write_run(json: &mut Json<'_>, run: &Run, map: &mut MapBudget) {
    json.open('{');
    json.number("bytes", run.bytes as u64);
    if run.spans > 1 {
        json.number("spans", run.spans as u64);
    }
    if run.blocks > 0 {
        json.number("block_bytes", run.block_bytes as u64);
        json.number("blocks", run.blocks as u64);
        json.number("live", run.live as u64);
        json.open_field("clients", '{');
        for client in Client::all().filter(|client| run.clients[client.index()] > 0) {
            json.number(client.name(), run.clients[client.index()] as u64);
        }
        json.close('}');
    }
    if let Some(block) = run.block.filter(|block| block.owner == 0) {
        json.text("site", Site::from_number(block.site).name().as_str());
        json.number("thread", block.thread);
    }
    if run.has_cells() {
        let mut cells = Cells { text: [0; CELLS_BYTES], length: 0, fits: true };
        run.each_cells(|client, count| cells.add(client, count));
        if cells.fits && cells.length <= map.cells {
            map.cells -= cells.length;
            json.text("cells", core::str::from_utf8(&cells.text[..cells.length]).unwrap_or(""));
        }
    }
    json.close('}');
}

/// What the maps of a report may take.
pub(super) struct MapBudget {
    /// Runs of each pool.
    runs: usize,
    /// Bytes of the texts `cells`.
    cells: usize,
}

/// Runs of all pools together, as long as there are few pools.
const RUNS: usize = 2048;
/// Runs of a pool, however many pools there are.
const LEAST_RUNS: usize = 16;
/// Bytes of the texts `cells` in one report.
const ALL_CELLS_BYTES: usize = 256 << 10;
/// The longest text of one span; that of a span of 64 KiB whose blocks change with every second one can be longer, and
/// is left out.
const CELLS_BYTES: usize = 1024;

impl MapBudget {
    /// For the pools that there are now.
    pub(super) fn new() -> MapBudget {
        let mut pools = 0;
        pool::each_pool(|_| pools += 1);
        MapBudget { runs: (RUNS / usize::max(pools, 1)).max(LEAST_RUNS), cells: ALL_CELLS_BYTES }
    }
}

/// The blocks of a span as a text: a letter for each client in the order of TN_CLIENT_, "." for free blocks, then how
/// many if more than one.
struct Cells {
    text: [u8; CELLS_BYTES],
    length: usize,
    fits: bool,
}

impl Cells {
    fn add(&mut self, client: Option<Client>, count: usize) {
        let letter = client.map_or('.', |client| char::from(b'a' + client.index().min(25) as u8));
        let written = if count > 1 { write!(self, "{letter}{count}") } else { self.write_char(letter) };
        self.fits &= written.is_ok();
    }
}

impl Write for Cells {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let place = self.text.get_mut(self.length..self.length + text.len()).ok_or(core::fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

/// The kind of a pool's memory, with warnings.
fn write_memory(json: &mut Json<'_>, flags: u32) {
    json.open_field("memory", '[');
    let words = [(TN_PINNED, "pinned"), (TN_MAPPED, "mapped"), (TN_WRITECOMBINED, "write_combined")];
    words.into_iter().filter(|(flag, _)| flags & flag != 0).for_each(|(_, word)| json.item(word));
    json.close(']');
    json.open_field("warnings", '[');
    if flags & TN_WRITECOMBINED != 0 {
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
