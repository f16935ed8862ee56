//! The snapshot: the holders of memory at this moment, as JSON (described by `docs/report.schema.json`).
//!
//! Contract: works without memory. The sink is called under no lock, so it may wait. Each store and each pool is
//! consistent; the whole is not, since other threads may make and release handles meanwhile.
#![forbid(unsafe_code)]

use super::extent::Extent;
use super::groups;
use super::holders::{in_parts, write_holder, write_why};
use super::json::Json;
use super::open_handles;
use super::pools::{self, MapBudget, write_device};
use super::stores;
use super::timeline;
use crate::copy_stats;
use crate::device::{exported, shareable};
use crate::pool;
use crate::sys::instances;
use crate::types::*;
use core::fmt::Write;

/// Version of the format. It changes if readers of the old format could misread the new one.
const SCHEMA: u32 = 1;

/// Writes the report.
pub fn write(sink: &mut dyn Write, extent: Extent) {
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
    let mut map = MapBudget::new();
    pool::each_pool(|pool| pools::write_pool(&mut json, pool, &mut map));
    json.close(']');
    stores::write_stores(&mut json, extent);
    json.open_field("blocks", '[');
    groups::write_raw_blocks(&mut json, extent.others);
    json.close(']');
    json.open_field("shared_out", '[');
    write_shared_out(&mut json);
    json.close(']');
    json.open_field("shared_in", '[');
    write_shared_in(&mut json);
    json.close(']');
    write_open(&mut json, extent.others);
    write_copy_book(&mut json, extent.others);
    timeline::write_timeline(&mut json);
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

/// Memory that pools freed, and that other processes have open.
fn write_shared_out(json: &mut Json<'_>) {
    let mut from = 0;
    while let Some(kept) = exported::next_kept(from) {
        from = kept.start + 1;
        json.open('{');
        write_device(json, kept.device);
        json.bits("address", kept.start as u64);
        json.number("bytes", kept.bytes as u64);
        json.number("pool", kept.pool);
        json.text("name", kept.name.as_str());
        json.open_field("importers", '[');
        in_parts(&mut |visit| kept.each_importer(visit), &mut |process: &u32| json.value(*process));
        json.close(']');
        json.close('}');
    }
}

/// Memory of other processes that this one has mapped.
fn write_shared_in(json: &mut Json<'_>) {
    let mut from = 0;
    while let Some(imported) = shareable::next_imported(from) {
        from = imported.start + 1;
        json.open('{');
        json.bits("address", imported.start as u64);
        json.number("bytes", imported.bytes as u64);
        json.flag("writable", imported.writable);
        json.number("process", imported.exporter.id);
        match imported.exporter.is_running() {
            Some(running) => json.flag("running", running),
            None => json.null("running"),
        }
        json.close('}');
    }
}

/// What is open and holds no bytes.
fn write_open(json: &mut Json<'_>, most: usize) {
    let mut seen = 0;
    json.open_field("open", '[');
    in_parts(&mut |visit| open_handles::without_bytes(visit), &mut |holder| {
        if seen < most {
            write_holder(json, holder);
        }
        seen += 1;
    });
    json.close(']');
    if seen > most {
        json.number("more_open", (seen - most) as u64);
    }
}

fn write_copy_book(json: &mut Json<'_>, most: usize) {
    json.open_field("copies", '[');
    let mut all = 0;
    in_parts(&mut |visit| all = copy_stats::copies(&mut |_, copies| visit(copies), most), &mut |copies| {
        write_copies(json, copies)
    });
    json.close(']');
    if all > most {
        json.number("more_copies", (all - most) as u64);
    }
}

fn write_copies(json: &mut Json<'_>, copies: &copy_stats::Copies) {
    json.open('{');
    let function = copies.key.function.unwrap_or(c"other");
    json.text("function", function.to_str().unwrap_or(""));
    json.text("site", copies.key.site.name().as_str());
    write_why(json, copies.key.why);
    json.flag("forced", copies.key.forced);
    json.number("count", copies.count);
    json.number("bytes", copies.bytes);
    json.close('}');
}
