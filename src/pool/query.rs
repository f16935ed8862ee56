//! What a pool reports: statistics, clients, size classes, and where its memory lies.
//!
//! Contract: `f` runs under no lock. Statistics are of one moment. What is reported span by span is of some moment of
//! the call for each span.

use crate::device;
use crate::error::Result;
use crate::pool::client::Client;
use crate::pool::registry::each_pool;
use crate::pool::span::class;
use crate::pool::{Pool, lookup};
use crate::sys::os;
use crate::types::*;
use core::sync::atomic::Ordering;

/// Describes a device and the memory that pools have of it: `device::query`, and the fields that it leaves to this
/// layer.
pub fn describe(device: tn_device, flags: u32) -> Result<tn_device_info> {
    let mut info = device::query(device, flags)?;
    if flags & TN_QUERY_MEMORY != 0 {
        each_pool(|pool| {
            if pool.device() == device {
                let stats = pool.query();
                info.pool_bytes += stats.reserved_bytes;
                info.pool_free_bytes += stats.cached_bytes;
            }
        });
    }
    Ok(info)
}

/// A run of adjacent spans of a pool.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// First byte.
    pub start: usize,
    /// Length in bytes.
    pub bytes: usize,
    /// Number of spans, free ones included.
    pub spans: usize,
    /// Number of live blocks.
    pub live_blocks: usize,
    /// Usable bytes of the live blocks.
    pub live_bytes: usize,
}

impl Pool {
    /// The statistics, of one moment.
    pub fn query(&self) -> tn_pool_stats {
        let mut state = self.state.lock();
        if state.stream_lists.is_some() {
            state.collect_passed(os::coarse_ms());
        }
        let mut stats = state.stats();
        drop(state);
        stats.serial = self.serial();
        stats.device = self.device();
        stats.held_bytes = self.held_bytes.load(Ordering::Relaxed).max(0) as u64;
        let (addresses, records) = self.ahead();
        stats.address_bytes += self.lost_bytes.load(Ordering::Relaxed) + addresses as u64;
        stats.metadata_bytes += records as u64;
        if let Some((free, peak)) = self.kept_free() {
            stats.reserved_bytes += free;
            stats.cached_bytes += free;
            stats.peak_reserved_bytes = stats.peak_reserved_bytes.max(peak);
            // Only the driver knows how its free memory lies.
            stats.largest_free_bytes = 0;
        }
        let shared_out = self.shared_out_bytes();
        stats.shared_out_bytes = shared_out;
        stats.pending_bytes += shared_out;
        stats.reserved_bytes += shared_out;
        stats.address_bytes += shared_out;
        stats
    }

    /// Bytes that the pool freed, and that other processes have open.
    #[cfg(not(preload))]
    fn shared_out_bytes(&self) -> u64 {
        match self.device().r#type {
            TN_CUDA => device::exported::kept_bytes(self.serial()),
            _ => 0,
        }
    }

    #[cfg(preload)]
    fn shared_out_bytes(&self) -> u64 {
        0
    }

    /// Bytes of freed blocks that devices may still use, as far as is known without asking the driver.
    pub fn pending_bytes(&self) -> u64 {
        self.state.lock().figures.pending_bytes
    }

    /// Calls `f` with each client that ever used the pool, all of one moment (PO-61).
    pub fn each_client(&self, mut f: impl FnMut(tn_pool_client)) {
        let (accounts, counts) = {
            let state = self.state.lock();
            (state.clients, state.counts())
        };
        for client in Client::all() {
            let (account, all) = (&accounts[client.index()], &counts.clients[client.index()]);
            if account.is_used(all) {
                f(account.to_c(client, all));
            }
        }
    }

    /// Calls `f` with each size class that was ever used, the smallest first. Large blocks come before them, as the
    /// class of 0 bytes (PO-35). The counts of each span are of some moment of the call.
    pub fn each_class(&'static self, f: impl FnMut(&tn_pool_class_stats)) {
        if self.state.lock().settings.terms.in_order {
            return;
        }
        let mut all = [tn_pool_class_stats::default(); class::COUNT + 1];
        lookup::each_span(self, |info| {
            let of = &mut all[info.class.unwrap_or(class::COUNT)];
            of.span_count += 1;
            of.live_blocks += info.live as u64;
            of.cached_blocks += match info.block_bytes {
                0 => 1,
                _ => (info.blocks - info.live) as u64,
            };
        });
        {
            let state = self.state.lock();
            for (class, of) in all.iter_mut().enumerate() {
                let handed = state.handed(class);
                (of.allocation_count, of.hit_count) = (handed.all, handed.hits);
            }
        }
        for (class, of) in all[..class::COUNT].iter_mut().enumerate() {
            (of.block_bytes, of.span_bytes) = (class::bytes(class) as u64, class::span_bytes(class) as u64);
        }
        all.rotate_right(1);
        all.iter().filter(|of| of.allocation_count > 0 || of.span_count > 0).for_each(f);
    }

    /// Sets the peaks to the current values. Counts stay (PO-34).
    pub fn reset_peak(&'static self) {
        self.state.lock().reset_peak();
        self.ops().reset_peak();
    }

    /// The device's memory: (total, free) bytes.
    pub(super) fn device_memory(&'static self) -> Option<(u64, u64)> {
        self.ops().memory()
    }
}
