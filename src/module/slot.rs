//! The module behind a handle: its image, and its end.
//!
//! Contract: each running call has a reference. A module that has ended is unloaded from each GPU once the work that was
//! issued there before is done and no stream captures a graph; later calls on modules find that out. No lock is held during a call of the driver.

use super::image::Image;
use super::loaded::OnGpus;
use crate::borrow::HolderInfo;
use crate::counted::{self, Last, Object};
use crate::error::{Status, about, quietly};
use crate::gpu::Gpu;
use crate::ledger::Origin;
use crate::names::Name;
use crate::slots::Kind;
use crate::stream;
use crate::thread::{self, QuickLock};
use crate::types::*;

/// A module.
pub struct Module {
    /// Its name.
    pub name: Name,
    /// Where it was made.
    pub origin: Origin,
    /// Its code.
    pub image: Image,
    /// Where it is loaded.
    pub on_gpus: OnGpus,
    /// Once it has ended: the work before this tick may use it.
    tick: u64,
    /// Once it has ended: the next one in the list.
    next: Option<Last<Module>>,
}

impl Module {
    /// A module that is loaded nowhere.
    pub fn new(image: Image, name: Name) -> Module {
        Module { name, origin: Origin::by(thread::current()), image, on_gpus: OnGpus::none(), tick: 0, next: None }
    }

    /// An error of this module.
    pub fn about(&self, status: Status) -> Status {
        if self.name.is_none() { status } else { about(status, format_args!("module \"{}\"", self.name.as_str())) }
    }
}

impl Object for Module {
    const KIND: Kind = Kind::Module;
    type Beside = ();
    fn end(mut module: Last<Module>) {
        module.image = Image::default();
        module.tick = stream::tick();
        quietly(|| {
            unload_or_keep(module);
            unload_done();
        });
    }
}

/// The modules that ended and are still loaded.
static ENDED: QuickLock<Option<Last<Module>>> = QuickLock::new(None);

/// Unloads the modules that ended and whose work is done. Never waits for work.
pub fn unload_done() {
    let mut next = ENDED.lock().take();
    while let Some(mut module) = next {
        next = module.next.take();
        quietly(|| unload_or_keep(module));
    }
}

/// Unloads a module that ended from each GPU that has done its work, and frees its slot, or adds it to the list.
fn unload_or_keep(mut module: Last<Module>) {
    let tick = module.tick;
    let loads = module.on_gpus.loads();
    for at in (0..loads.len()).rev() {
        let is_gone = loads[at].is_gone();
        if !is_gone && !may_unload(loads[at].gpu(), tick) {
            continue;
        }
        let load = loads.swap_remove(at);
        if !is_gone {
            // SAFETY: all work before the end of the module is done. The program promises to issue none of it later.
            unsafe { load.unload() }
        }
    }
    if !loads.is_empty() {
        let mut list = ENDED.lock();
        module.next = list.take();
        *list = Some(module);
    }
}

/// Whether all work of a GPU before a tick is done, and no stream captures a graph there, as far as the library may ask:
/// unloading breaks captures (NVIDIA/warp#401).
fn may_unload(gpu: &'static Gpu, tick: u64) -> bool {
    stream::is_done(gpu, tick) && stream::refuse_captures(gpu).is_ok()
}

/// Calls `visit` with each module whose handle is not released.
pub fn each_open(visit: &mut dyn FnMut(HolderInfo)) {
    counted::each_open(|id, module: &Module| {
        visit(HolderInfo {
            kind: TN_HOLDER_MODULE,
            id: id.bits(),
            bytes: module.image.bytes().len() as u64,
            origin: module.origin,
            name: module.name,
            ..HolderInfo::NONE
        });
    });
}
