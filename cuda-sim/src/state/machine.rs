//! The machine: what queued work may change, that is devices, contexts, memory and events, but not the queues.

use super::array::Array;
use super::context::Context;
use super::device::Device;
use super::event::Event;
use super::managed::Advice;
use super::module::Modules;
use super::physical::Physical;
use super::pinned::PinnedRanges;
use super::pool::Pools;
use super::signals::PROGRESS;
use crate::base::config::Config;
use crate::base::random::Random;
use crate::base::status::*;
use crate::base::types::{Address, Handle};
use crate::memory::space::Space;
use std::collections::BTreeMap;

pub struct Machine {
    pub config: Config,
    pub random: Random,
    pub devices: Vec<Device>,
    pub contexts: BTreeMap<Handle, Context>,
    pub events: BTreeMap<Handle, Event>,
    pub space: Space,
    pub pinned: PinnedRanges,
    /// By the base of a managed allocation.
    pub advice: BTreeMap<Address, Advice>,
    pub pools: Pools,
    pub physical: BTreeMap<Handle, Physical>,
    pub arrays: BTreeMap<Handle, Array>,
    pub modules: Modules,
    pub statistics: Statistics,
    next_handle: u64,
}

/// What happened, for tests that ask.
#[derive(Default)]
pub struct Statistics {
    pub host_alloc_flags: u32,
    /// The attributes of the last cuLaunchKernelEx, by the bits of their ids.
    pub launch_attributes: u64,
    pub host_register_flags: u32,
    /// 1 + the NUMA node that the calling thread preferred at the last allocation of pinned memory; 0: none.
    pub host_alloc_node: u64,
    /// Calls that wait for all work of a context.
    pub device_synchronizes: u64,
    /// Calls that free memory and found unfinished work on the device.
    pub implicit_synchronizes: u64,
    /// Pieces of work that ran on streams.
    pub executed: u64,
    /// Bytes moved by copies that ran, by direction: to the device, from it, on or between devices.
    pub copied: [u64; 3],
    /// Copies between two devices that ran: direct ones, and those that a driver stages through host memory.
    pub peer_copies: [u64; 2],
    /// The label of the last piece of work that failed.
    pub last_failure: &'static str,
}

/// What a handle refers to. The kind is in the upper bytes of the handle, so that a stream is never taken for an event.
#[derive(Clone, Copy)]
pub enum HandleKind {
    Context = 0xC0,
    Stream = 0x57,
    Event = 0xE7,
    UserObject = 0x0B,
    Array = 0xAA,
    Graph = 0x64,
    GraphExec = 0x65,
    Node = 0x66,
    Physical = 0x9A,
    Pool = 0x90,
    Module = 0x30,
    Function = 0xF0,
}

/// What all handles of a kind begin with: above the addresses that a process can map, so that a handle used as a
/// pointer crashes; positive as a signed number.
fn handle_bits(kind: HandleKind) -> Handle {
    0x0100_0000_0000_0000 | (kind as u64) << 48
}

impl Machine {
    pub fn new(config: Config) -> Machine {
        Machine {
            random: Random::new(config.seed),
            devices: Vec::new(),
            contexts: BTreeMap::new(),
            events: BTreeMap::new(),
            space: Space::new(config.reuses, config.askew(), config.seed),
            pinned: PinnedRanges::default(),
            advice: BTreeMap::new(),
            pools: Pools::default(),
            physical: BTreeMap::new(),
            arrays: BTreeMap::new(),
            modules: Modules::default(),
            statistics: Statistics::default(),
            next_handle: 1,
            config,
        }
    }

    /// Takes over what must survive a reset: reserved addresses, and which handles were given out.
    pub fn inherit(&mut self, former: &mut Machine) {
        self.next_handle = former.next_handle;
        self.space.take_over(&mut former.space);
    }

    /// A handle that was never given out before.
    pub fn new_handle(&mut self, kind: HandleKind) -> Handle {
        let number = self.next_handle;
        self.next_handle += 1;
        handle_bits(kind) | number << 4
    }

    /// Whether a stream had this handle, now or before.
    pub fn was_stream(&self, handle: Handle) -> bool {
        handle & !0xffff_ffff_fff0 == handle_bits(HandleKind::Stream)
            && handle >> 4 & 0xfff_ffff_ffff < self.next_handle
    }

    /// An error unless the context exists.
    pub fn check_exists(&self, context: Handle) -> Answer {
        match self.contexts.get(&context) {
            Some(_) => Ok(()),
            None if context == 0 => Err(INVALID_CONTEXT),
            None => Err(CONTEXT_IS_DESTROYED),
        }
    }

    /// An error unless the context exists and is not lost.
    pub fn check_usable(&self, context: Handle) -> Answer {
        self.check_exists(context)?;
        match self.contexts.get(&context).and_then(|context| context.lost) {
            Some(code) => Err(code),
            None => Ok(()),
        }
    }

    /// The context is lost: its queued work is dropped, every later call in it fails with `code`.
    pub fn lose_context(&mut self, context: Handle, code: u32) {
        if let Some(context) = self.contexts.get_mut(&context) {
            context.lost.get_or_insert(code);
        }
        PROGRESS.notify_all();
    }
}
