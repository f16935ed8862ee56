//! User objects: creating them, and counting the references of the program and of graphs. An executable graph and its
//! launches share the references of the graph that it was instantiated from.

use crate::base::args::put;
use crate::base::status::*;
use crate::base::types::Handle;
use crate::entry::enter::driver;
use crate::state::machine::HandleKind;
use crate::state::user_object::{Destroy, UserObject};
use std::ffi::{c_uint, c_void};
use std::sync::Arc;

/// CU_USER_OBJECT_NO_DESTRUCTOR_SYNC, which must be given.
const NO_SYNC: c_uint = 1;
/// CU_GRAPH_USER_OBJECT_MOVE: the caller's references become the graph's.
const MOVE: c_uint = 1;

/// Drops `count` references.
fn release(held: &mut Vec<Arc<UserObject>>, count: c_uint) -> Answer {
    let left = held.len().checked_sub(count as usize).ok_or(INVALID_VALUE)?;
    held.truncate(left);
    Ok(())
}

driver! {
    fn cuUserObjectCreate(out: *mut Handle, data: *mut c_void, destroy: Option<Destroy>, count: c_uint, flags: c_uint) in Init => |call| {
        let destroy = destroy.filter(|_| count > 0 && flags == NO_SYNC).ok_or(INVALID_VALUE)?;
        let handle = call.new_handle(HandleKind::UserObject);
        let object = Arc::new(UserObject::new(handle, data, destroy));
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
