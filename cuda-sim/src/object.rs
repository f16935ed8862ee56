//! User objects: what a program wants destroyed when no graph needs it any more.
//!
//! Contract: references are counted as the caller counts them, those of a graph go on to what is instantiated of it and to its launches.
//! The destructor runs on a thread of its own, as with the real driver it may not call the driver.

use crate::entry::put;
use crate::status::*;
use crate::types::Handle;
use crate::world::Kind;
use std::collections::BTreeMap;
use std::ffi::{c_uint, c_void};
use std::sync::Arc;

/// CU_USER_OBJECT_NO_DESTRUCTOR_SYNC, which must be given.
const NO_SYNC: c_uint = 1;
/// CU_GRAPH_USER_OBJECT_MOVE: the caller's references become the graph's.
const MOVE: c_uint = 1;

type Destroy = unsafe extern "C" fn(*mut c_void);

/// Destroys what it stands for when its last reference goes.
pub struct Object {
    pub handle: Handle,
    data: usize,
    destroy: Destroy,
}

impl Drop for Object {
    fn drop(&mut self) {
        let (data, destroy) = (self.data, self.destroy);
        // SAFETY: the caller's function and its argument, once. Without a thread it is not called: a leak, and no more.
        std::thread::Builder::new().spawn(move || unsafe { destroy(data as *mut c_void) }).ok();
    }
}

/// What the program itself holds: the object, once for each reference.
pub type Objects = BTreeMap<Handle, Vec<Arc<Object>>>;

/// Takes `count` references away.
fn release(held: &mut Vec<Arc<Object>>, count: c_uint) -> Answer {
    let left = held.len().checked_sub(count as usize).ok_or(INVALID_VALUE)?;
    held.truncate(left);
    Ok(())
}

driver! {
    fn cuUserObjectCreate(out: *mut Handle, data: *mut c_void, destroy: Option<Destroy>, count: c_uint, flags: c_uint) in Init => |call| {
        let destroy = destroy.filter(|_| count > 0 && flags == NO_SYNC).ok_or(INVALID_VALUE)?;
        let handle = call.handle(Kind::Object);
        let object = Arc::new(Object { handle, data: data as usize, destroy });
        call.objects.insert(handle, vec![object; count as usize]);
        put(out, handle)
    }

    fn cuUserObjectRetain(object: Handle, count: c_uint) in Init => |call| {
        let held = call.objects.get_mut(&object).ok_or(INVALID_VALUE)?;
        let one = held.first().ok_or(INVALID_VALUE)?.clone();
        held.extend(std::iter::repeat_n(one, count as usize));
        Ok(())
    }

    fn cuUserObjectRelease(object: Handle, count: c_uint) in Init => |call| {
        let held = call.objects.get_mut(&object).ok_or(INVALID_VALUE)?;
        release(held, count)?;
        if held.is_empty() {
            call.objects.remove(&object);
        }
        Ok(())
    }

    fn cuGraphRetainUserObject(graph: Handle, object: Handle, count: c_uint, flags: c_uint) in Init => |call| {
        let world = &mut *call.world;
        let held = world.objects.get_mut(&object).ok_or(INVALID_VALUE)?;
        let one = held.first().ok_or(INVALID_VALUE)?.clone();
        let graph = world.graphs.graphs.get_mut(&graph).ok_or(INVALID_VALUE)?;
        if flags == MOVE {
            release(held, count)?;
            if held.is_empty() {
                world.objects.remove(&object);
            }
        }
        graph.objects.extend(std::iter::repeat_n(one, count as usize));
        Ok(())
    }

    fn cuGraphReleaseUserObject(graph: Handle, object: Handle, count: c_uint) in Init => |call| {
        let graph = call.graphs.graphs.get_mut(&graph).ok_or(INVALID_VALUE)?;
        let (mut own, others): (Vec<_>, Vec<_>) = graph.objects.drain(..).partition(|held| held.handle == object);
        let answer = release(&mut own, count);
        graph.objects.extend(others.into_iter().chain(own));
        answer
    }
}
