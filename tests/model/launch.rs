//! Launches of kernels of the host in the model: the checks of the arguments, what is borrowed while the kernel runs,
//! and what it writes.
//!
//! Contract: as `claims`. A launch begins, the kernel makes any calls, and then it overwrites what it may write and the
//! guards end. Rows KN-10, KN-11, KN-13, KN-20.

use super::borrows::{Entry, is_bad_access};
use super::calls::{Argument, Done};
use super::handle::Model;
use super::layout::Layout;
use super::rules::{Faults, Status};
use super::update::Frame;
use tenure::types::*;

/// The most axes of a kernel's view.
const MOST_AXES: i32 = 8;

impl Model {
    pub fn launch(
        &mut self,
        arguments: &[Argument],
        grid: [u32; 3],
        block_bytes: i64,
        stream: Result<(), Status>,
    ) -> Result<Done, Status> {
        let mut faults = Faults::default();
        faults.take(stream);
        faults.when(grid.contains(&0) || block_bytes < 0, TN_ERR_INVALID);
        let mut known = Vec::new();
        for argument in arguments {
            match *argument {
                Argument::Value { bytes } => faults.when(bytes == 0, TN_ERR_INVALID),
                Argument::Array { array, access, ndim } => {
                    let array = faults.take(self.array(array));
                    faults.when(is_bad_access(access & !TN_ALLOW_ALIAS), TN_ERR_INVALID);
                    let both = TN_ALLOW_ALIAS | TN_FROZEN;
                    faults.when(access & both == both, TN_ERR_INVALID);
                    faults.when(ndim.is_some_and(|ndim| !(0..=MOST_AXES).contains(&ndim)), TN_ERR_INVALID);
                    known.extend(array.map(|array| (array, access, ndim)));
                }
            }
        }
        faults.none()?;
        for &(array, ..) in &known {
            faults.take(self.live(array));
        }
        faults.none()?;
        let mut entries = Vec::new();
        for &(array, access, ndim) in &known {
            let layout = &self.arrays[array].region.layout;
            let axes = layout.shape.len() as i32;
            // An array without axes passes as one axis too.
            faults.when(ndim.is_some_and(|ndim| ndim != axes && (ndim, axes) != (1, 0)), TN_ERR_SHAPE);
            faults.when(ndim.is_none() && !layout.is_c(), TN_ERR_LAYOUT);
            faults.when(!lies_at_multiples_of_its_size(layout), TN_ERR_LAYOUT);
            let may_alias = access & TN_ALLOW_ALIAS != 0;
            entries.push(Entry::new(array, access & !TN_ALLOW_ALIAS).allowing_alias(may_alias));
        }
        let (done, holds) = self.open_all(&entries, faults, "tn_launch")?;
        let guard = self.add_guard(holds);
        self.guards[guard].of_launch = true;
        self.frames.push(Frame::Launch(guard));
        Ok(done)
    }

    /// The last block of the kernel overwrites the arguments that it may write, in their order, and the launch ends.
    pub fn finish_launch(&mut self, guard: usize) -> Done {
        let done = self.write_through(guard);
        self.end_guard(guard, false);
        done
    }
}

/// KN-13: the size, where `Layout::is_aligned` asks for that of a component of a complex number.
fn lies_at_multiples_of_its_size(layout: &Layout) -> bool {
    layout.addresses().iter().all(|at| at % layout.item() == 0)
}
