//! The module behind a handle: its image, the count of references, and its end.
//!
//! Contract: the handle and each running call have a reference. The last one ends the module. It is unloaded from each
//! GPU once the work that was issued there before is done; later calls on modules find that out. No lock is held during
//! a call of the driver.

use super::image::Image;
use super::loaded::{Loads, OnGpus};
use crate::array::HOST;
use crate::borrow::HolderInfo;
use crate::error::{Result, Status, about, quietly};
use crate::layout::Form;
use crate::ledger::Origin;
use crate::names::Name;
use crate::slots::{self, Head, Id, Kind, Slot, State, Table};
use crate::stream;
use crate::thread::{self, QuickLock};
use crate::types::*;
use core::sync::atomic::{AtomicU32, Ordering};
use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};

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
}

impl Module {
    /// An error of this module.
    pub fn about(&self, status: Status) -> Status {
        if self.name.is_none() { status } else { about(status, format_args!("module \"{}\"", self.name.as_str())) }
    }
}

/// A slot; its contents are None while it has no module.
struct ModuleSlot {
    head: Head,
    /// The handle, and each [`ModuleRef`].
    refs: AtomicU32,
    /// Written before the first reference and after the last one, so no call waits for it.
    contents: RwLock<Option<Module>>,
    /// What remains of a module that ended.
    ended: QuickLock<Ended>,
}

/// What remains of a module that ended.
struct Ended {
    loads: Loads,
    /// The work before this tick may use it.
    tick: u64,
    /// The next one in the list.
    next: Option<&'static ModuleSlot>,
}

impl Ended {
    fn nothing() -> Ended {
        Ended { loads: Loads::new(), tick: 0, next: None }
    }
}

/// The modules that ended and are still loaded.
static ENDED: QuickLock<Option<&'static ModuleSlot>> = QuickLock::new(None);

impl Slot for ModuleSlot {
    const KIND: Kind = Kind::Module;
    fn new(head: Head) -> ModuleSlot {
        ModuleSlot {
            head,
            refs: AtomicU32::new(0),
            contents: RwLock::new(None),
            ended: QuickLock::new(Ended::nothing()),
        }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

impl ModuleSlot {
    /// Adds a reference. None: there is no module. It may be another one than the caller's handle names.
    fn add_ref(&'static self) -> Option<ModuleRef> {
        let add = |refs: u32| refs.checked_add(1).filter(|_| refs > 0);
        self.refs.fetch_update(Ordering::Acquire, Ordering::Relaxed, add).ok()?;
        Some(ModuleRef { slot: self })
    }

    fn drop_ref(&'static self) {
        if self.refs.fetch_sub(1, Ordering::AcqRel) == 1 {
            let module = self.contents.write().take();
            let loads = module.map(|module| module.on_gpus.into_loads()).unwrap_or_default();
            *self.ended.lock() = Ended { loads, tick: stream::tick(), next: None };
            quietly(|| {
                unload_or_keep(self);
                unload_done();
            });
        }
    }
}

/// Unloads the modules that ended and whose work is done. Never waits for work.
pub fn unload_done() {
    let mut next = ENDED.lock().take();
    while let Some(slot) = next {
        next = slot.ended.lock().next.take();
        quietly(|| unload_or_keep(slot));
    }
}

/// Unloads a module that ended from each GPU that has done its work, and frees its slot, or adds it to the list. The
/// caller alone has it.
fn unload_or_keep(slot: &'static ModuleSlot) {
    let Ended { mut loads, tick, .. } = core::mem::replace(&mut *slot.ended.lock(), Ended::nothing());
    for at in (0..loads.len()).rev() {
        let is_gone = loads[at].is_gone();
        if !is_gone && !stream::is_done(loads[at].gpu(), tick) {
            continue;
        }
        let load = loads.swap_remove(at);
        if !is_gone {
            // SAFETY: all work before the end of the module is done. The program promises to issue none of it later.
            unsafe { load.unload() }
        }
    }
    if loads.is_empty() {
        return Table::free(thread::current(), slot);
    }
    let mut list = ENDED.lock();
    *slot.ended.lock() = Ended { loads, tick, next: list.replace(slot) };
}

/// Gives a module its handle.
pub fn publish(module: Module) -> Result<Id> {
    let slot: &'static ModuleSlot = Table::take(thread::current())?;
    *slot.contents.write() = Some(module);
    slot.refs.store(1, Ordering::Release);
    slot.head.set_state(State::Kept);
    Ok(Table::publish(slot))
}

/// Ends the caller's handle. TN_ERR_STALE, TN_ERR_KIND.
pub fn release(id: Id) -> Result<()> {
    let slot = Table::<ModuleSlot>::find(id)?;
    if !slot.head.end(id) {
        return Err(slots::stale(id, Kind::Module));
    }
    slot.drop_ref();
    Ok(())
}

/// Calls `visit` with each module whose handle is not released.
pub fn each_open(visit: &mut dyn FnMut(HolderInfo)) {
    Table::<ModuleSlot>::each(|slot| {
        // Without a reference, because the end of the last one would call the driver here.
        let contents = slot.contents.read();
        let id = slot.id();
        let Some(module) = contents.as_ref().filter(|_| slot.head.is_live(id)) else { return };
        visit(HolderInfo {
            kind: TN_HOLDER_MODULE,
            device: HOST,
            id: id.bits(),
            bytes: module.image.bytes().len() as u64,
            origin: module.origin,
            time_ns: 0,
            name: module.name,
            form: Form::Full,
            ..HolderInfo::NONE
        });
    });
}

/// A reference on a module.
pub struct ModuleRef {
    slot: &'static ModuleSlot,
}

impl ModuleRef {
    /// The module of a handle. TN_ERR_STALE, TN_ERR_KIND.
    pub fn find(id: Id) -> Result<ModuleRef> {
        let slot = Table::<ModuleSlot>::find(id)?;
        // A reference that was added to another module is dropped again.
        slot.add_ref().filter(|_| slot.head.is(id)).ok_or_else(|| slots::stale(id, Kind::Module))
    }

    /// The module.
    pub fn module(&self) -> MappedRwLockReadGuard<'_, Module> {
        RwLockReadGuard::map(self.slot.contents.read(), |contents| {
            contents.as_ref().expect("a referenced module has contents")
        })
    }
}

impl Drop for ModuleRef {
    fn drop(&mut self) {
        self.slot.drop_ref();
    }
}
