//! The call of a launch, and the C side of its kernel.
//!
//! Contract: as `invoke`. The kernel reaches its arguments through what it gets of them alone: views, addresses and
//! values. The calls that it makes are in `callback`.

use super::api::*;
use super::calls::{Argument, Done};
use super::handle::Model;
use super::invoke::Seen;
use super::layout::Layout;
use super::library::Library;
use core::ffi::c_void;
use core::mem::size_of;
use core::ptr::null_mut;
use core::slice;
use tenure::types::*;

/// The bytes of the values that are passed.
const VALUE: [u8; 16] = *b"a value of bytes";
/// The alignment of block memory.
const LINE: usize = 128;

impl Library {
    pub fn launch(
        &self,
        arguments: &[Argument],
        grid: [u32; 3],
        block_bytes: i64,
        stream: *mut tn_stream,
        kernel: unsafe extern "C" fn(*const tn_host_block, *const *mut c_void),
    ) -> tn_status {
        let args: Vec<tn_arg> = arguments
            .iter()
            .map(|argument| match *argument {
                Argument::Array { array, access, ndim } => tn_arg {
                    kind: if ndim.is_some() { TN_ARG_ARRAY } else { TN_ARG_POINTER },
                    access,
                    ndim: ndim.unwrap_or(0),
                    reserved: 0,
                    what: self.array(array).cast(),
                    bytes: 0,
                },
                Argument::Value { bytes } => {
                    tn_arg { kind: TN_ARG_VALUE, access: 0, ndim: 0, reserved: 0, what: VALUE.as_ptr().cast(), bytes }
                }
            })
            .collect();
        let config = tn_launch_config {
            size: size_of::<tn_launch_config>(),
            function: null_mut(),
            grid,
            block: [1, 1, 1],
            block_bytes,
            stream,
            host_function: Some(kernel),
            flags: 0,
            cluster: [0; 3],
        };
        // SAFETY: handles are checked ids; `args` has the length passed beside it, and values at least the bytes that
        // they name.
        unsafe { tn_launch(&config, args.len(), args.as_ptr()) }
    }
}

/// A kernel that runs.
pub struct Kernel {
    arguments: Vec<Argument>,
    grid: [u32; 3],
    block_bytes: i64,
    /// The blocks that have run.
    blocks: u32,
    /// What the model expects at the start.
    pub begun: Done,
}

/// The place of a block among those of a launch.
pub struct At {
    pub is_first: bool,
    pub is_last: bool,
}

impl Kernel {
    pub fn new(arguments: &[Argument], grid: [u32; 3], block_bytes: i64, begun: &Done) -> Kernel {
        Kernel { arguments: arguments.to_vec(), grid, block_bytes, blocks: 0, begun: begun.clone() }
    }

    fn count(&self) -> u32 {
        self.grid.iter().product()
    }

    /// The next block, index[0] fastest, with its memory.
    pub fn enter(&mut self, block: &tn_host_block) -> Result<At, String> {
        let ([x, y, _], number) = (self.grid, self.blocks);
        let index = [number % x, number / x % y, number / x / y];
        let bytes = self.block_bytes as usize;
        let fits = (block.index, block.grid, block.block, block.memory_bytes) == (index, self.grid, [1; 3], bytes);
        if number >= self.count()
            || !fits
            || block.memory.is_null() != (bytes == 0)
            || !(block.memory as usize).is_multiple_of(LINE)
        {
            return Err(format!("block {number} of {:?} is {block:?}", self.grid));
        }
        // SAFETY: the block has this memory, or none.
        unsafe { block.memory.cast::<u8>().write_bytes(0xb1, bytes) };
        self.blocks += 1;
        Ok(At { is_first: number == 0, is_last: self.blocks == self.count() })
    }

    pub fn is_done(&self) -> Result<(), String> {
        if self.blocks == self.count() { Ok(()) } else { Err(format!("{} blocks of {:?}", self.blocks, self.grid)) }
    }

    /// The arrays with what the kernel gets of each, in their order.
    fn arrays(&self, args: *const *mut c_void) -> impl Iterator<Item = (&Layout, Layout)> {
        let arrays = self.arguments.iter().enumerate().filter_map(|(k, argument)| match argument {
            Argument::Array { ndim, .. } => Some((k, ndim.is_some())),
            Argument::Value { .. } => None,
        });
        self.begun.views.iter().zip(arrays).map(move |(expected, (k, has_view))| {
            // SAFETY: one pointer for each argument.
            let words = unsafe { *args.add(k) }.cast::<i64>();
            let n = expected.shape.len();
            if !has_view {
                // A bare address has no strides, and a C-contiguous array needs none.
                // SAFETY: the kernel gets an address.
                let at = unsafe { *words };
                return (expected, Layout { at, ..expected.clone() });
            }
            // SAFETY: the kernel gets a view with as many axes as it declared, at least one.
            let words = unsafe { slice::from_raw_parts(words, 1 + 2 * n.max(1)) };
            let (mut shape, mut strides) = (words[1..=n.max(1)].to_vec(), words[1 + n.max(1)..].to_vec());
            if n == 0 && (shape[0], strides[0]) == (1, expected.item()) {
                (shape, strides) = (vec![], vec![]);
            }
            (expected, Layout { dtype: expected.dtype, at: words[0], shape, strides })
        })
    }

    /// What the kernel gets; an error for values that are not those passed.
    pub fn seen(&self, args: *const *mut c_void) -> Result<Vec<Seen>, String> {
        for (k, argument) in self.arguments.iter().enumerate() {
            let Argument::Value { bytes } = *argument else { continue };
            // SAFETY: one pointer for each argument, to as many bytes as were passed.
            let value = unsafe { slice::from_raw_parts((*args.add(k)).cast::<u8>(), bytes) };
            if value != &VALUE[..bytes] {
                return Err(format!("argument {k}: {value:?}"));
            }
        }
        let see = |got: Layout| Seen {
            data: got.at as usize,
            dtype: got.dtype,
            bytes: got.bytes() as u64,
            shape: got.shape,
            strides: got.strides,
        };
        Ok(self.arrays(args).map(|(_, got)| see(got)).collect())
    }

    /// Writes the elements of these arguments, which the model has already, through what the kernel gets of them.
    pub fn write(&self, model: &Model, args: *const *mut c_void, written: &[Layout]) {
        for (expected, got) in self.arrays(args).filter(|(expected, _)| written.contains(expected)) {
            for (from, to) in expected.addresses().into_iter().zip(got.addresses()) {
                let bytes = model.memory.bytes(from, expected.item());
                // SAFETY: an element of an argument that the kernel may write; the model's copy has the same size.
                unsafe { (to as *mut u8).copy_from(bytes.as_ptr(), bytes.len()) };
            }
        }
    }
}
