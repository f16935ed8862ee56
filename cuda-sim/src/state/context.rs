//! Contexts: the primary one of each device, and those that a program creates.

use crate::base::types::Handle;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_uint;

#[derive(Default)]
pub struct Context {
    /// Unique among all contexts, also when a later one gets the same handle.
    pub id: u64,
    pub device: usize,
    pub primary: bool,
    pub flags: c_uint,
    /// The sticky error; with one, the context is lost.
    pub lost: Option<u32>,
    /// Its legacy stream, and the default stream of each thread. Created at their first use; 0: not yet.
    pub legacy: Handle,
    pub per_thread: BTreeMap<u64, Handle>,
    /// The devices whose memory work in this context may use.
    pub peers: BTreeSet<usize>,
    pub limits: BTreeMap<c_uint, usize>,
    pub cache: c_uint,
    /// References by `cuCtxAttach`.
    pub attached: u32,
}

impl Context {
    pub fn new(id: u64, device: usize, primary: bool, flags: c_uint) -> Context {
        Context { id, device, primary, flags, ..Context::default() }
    }
}
