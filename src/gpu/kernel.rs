//! Kernels of any library: what the driver tells about them, and their launches.
//!
//! Contract: a launch that fails has no effect. Another library may unload a module, and the driver may then give the
//! value of its CUfunction to another kernel. So nothing about a kernel counts as known. A launch that succeeded only
//! spares the next one, if that asks for no more, the queries before it. A refusal always follows from what the driver
//! answers now. A launch calls the driver once in the common case, and does not wait. The limit of a kernel's dynamic
//! memory is raised and never lowered, also by two threads at once.

use super::context::Inside;
use super::table::Gpu;
use crate::cuda_driver::sys::{
    CUlaunchAttribute, CUlaunchAttributeID, CUlaunchAttributeValue,
    CUlaunchAttributeValue_union__bindgen_ty_1 as ClusterDim, CUlaunchConfig,
};
use crate::cuda_driver::{Attribute, CUfunction, CUstream, SUCCESS, code};
use crate::error::{Kept, Result, Status, fail, quietly};
use crate::sys::lock::Mutex;
use crate::types::*;
use core::ffi::{CStr, c_int, c_void};
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK.
const MAX_THREADS: c_int = 0;
/// CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES.
const STATIC_BYTES: c_int = 1;
/// CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES.
const MAX_DYNAMIC_BYTES: c_int = 8;

/// More parameters than a kernel can have: the driver limits their bytes to 32764.
const MAX_PARAMETERS: usize = 1 << 15;

/// How many blocks and threads a launch has, and how much dynamic memory each block.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Blocks in each direction, at least 1.
    pub grid: [u32; 3],
    /// Threads of a block in each direction, at least 1.
    pub block: [u32; 3],
    /// Dynamic memory of a block.
    pub block_bytes: i64,
    /// TN_LAUNCH_ flags.
    pub flags: u32,
    /// Blocks of a cluster in each direction; all 0: none is asked for.
    pub cluster: [u32; 3],
}

impl Shape {
    fn threads(&self) -> u64 {
        self.block.iter().fold(1, |product: u64, threads| product.saturating_mul(u64::from(*threads)))
    }

    /// Whether the launch has attributes, so that it is made by cuLaunchKernelEx (driver 11.8).
    fn has_attributes(&self) -> bool {
        self.flags != 0 || self.cluster != [0; 3]
    }

    /// The attributes, and how many there are.
    fn attributes(&self) -> ([CUlaunchAttribute; 3], u32) {
        // SAFETY: all zero is a valid value: that of an attribute which is ignored.
        let mut list: [CUlaunchAttribute; 3] = unsafe { MaybeUninit::zeroed().assume_init() };
        let mut count = 0;
        let mut add = |id: CUlaunchAttributeID, value: CUlaunchAttributeValue| {
            (list[count].id, list[count].value) = (id, value);
            count += 1;
        };
        if self.flags & TN_LAUNCH_COOPERATIVE != 0 {
            add(CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_COOPERATIVE, CUlaunchAttributeValue { cooperative: 1 });
        }
        if self.flags & TN_LAUNCH_OVERLAP != 0 {
            let value = CUlaunchAttributeValue { programmaticStreamSerializationAllowed: 1 };
            add(CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION, value);
        }
        if self.cluster != [0; 3] {
            let [x, y, z] = self.cluster.map(|blocks| blocks.max(1));
            let value = CUlaunchAttributeValue { clusterDim: ClusterDim { x, y, z } };
            add(CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, value);
        }
        (list, count as u32)
    }
}

/// A kernel, by the driver's CUfunction, or by a CUkernel of a library (CUDA 12.0), which launches take for one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kernel(CUfunction);

/// What the driver tells about a kernel.
#[derive(Clone, Copy)]
struct Facts {
    threads: i64,
    static_bytes: i64,
    dynamic_bytes: i64,
}

/// The answers about a launch that no earlier one has confirmed. The caller reports them where they come in the order
/// of checks.
pub struct Answers {
    /// TN_ERR_COUNT, TN_ERR_INVALID: the kernel has other parameters.
    pub parameters: core::result::Result<(), Kept>,
    /// TN_ERR_LIMIT: the launch is too large; TN_ERR_DRIVER: the driver does not know the kernel.
    pub shape: core::result::Result<(), Kept>,
}

impl Answers {
    /// An earlier launch has confirmed this one.
    pub const CONFIRMED: Answers = Answers { parameters: Ok(()), shape: Ok(()) };
}

/// A launch that the driver accepted: the arguments of the kernel, and the most that a launch may ask for. Written
/// without a lock: where two threads mix their launches up, the entry fits none, or a wrong launch, which the driver is
/// left to refuse.
struct Confirmed {
    function: AtomicUsize,
    signature: AtomicU64,
    threads: AtomicU64,
    block_bytes: AtomicI64,
}

/// The launches that were accepted, by the kernel; a new one replaces an older one in its place.
static CONFIRMED: [Confirmed; 256] = [const {
    Confirmed {
        function: AtomicUsize::new(0),
        signature: AtomicU64::new(0),
        threads: AtomicU64::new(0),
        block_bytes: AtomicI64::new(-1),
    }
}; 256];

/// Guards raising limits. A thread waits for the driver under it.
static RAISING: Mutex<()> = Mutex::new(());

/// A number for the sizes of the arguments.
#[inline]
fn signature(sizes: &[usize]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    sizes.iter().fold(sizes.len() as u64, |sum, size| (sum.rotate_left(5) ^ *size as u64).wrapping_mul(ODD))
}

impl Kernel {
    /// The kernel of a CUfunction or CUkernel, which is not NULL.
    pub fn new(function: *mut c_void) -> Kernel {
        Kernel(function.cast())
    }

    #[inline]
    fn confirmed(self) -> &'static Confirmed {
        // Functions are aligned to 16 bytes at least.
        let at = (self.0 as usize).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as usize) >> 56;
        &CONFIRMED[at % CONFIRMED.len()]
    }

    /// Whether a launch on this GPU that asked for no less, with arguments of these sizes, was accepted before.
    #[inline]
    pub fn is_confirmed(self, gpu: &Gpu, shape: &Shape, sizes: &[usize]) -> bool {
        let confirmed = self.confirmed();
        !shape.has_attributes()
            && confirmed.function.load(Ordering::Relaxed) == self.0 as usize
            && confirmed.signature.load(Ordering::Relaxed) == signature(sizes)
            && shape.threads() <= confirmed.threads.load(Ordering::Relaxed)
            && shape.block_bytes <= confirmed.block_bytes.load(Ordering::Relaxed)
            && gpu.limits().is_ok_and(|limits| limits.allow(&shape.grid, &shape.block))
    }

    fn confirm(self, signature: u64, threads: u64, block_bytes: i64) {
        let confirmed = self.confirmed();
        confirmed.function.store(0, Ordering::Relaxed);
        confirmed.signature.store(signature, Ordering::Relaxed);
        confirmed.threads.store(threads, Ordering::Relaxed);
        confirmed.block_bytes.store(block_bytes, Ordering::Relaxed);
        confirmed.function.store(self.0 as usize, Ordering::Relaxed);
    }

    /// Asks the driver whether it can run a launch with arguments of these sizes.
    #[cold]
    pub fn ask(self, inside: &Inside, shape: &Shape, sizes: &[usize]) -> Answers {
        let keep = |outcome: Result<()>| outcome.map_err(Kept::new);
        let function = self.function(inside);
        Answers {
            parameters: keep(function.check_parameters(inside, sizes)),
            shape: keep(function.facts(inside).and_then(|facts| function.check_shape(inside, shape, facts))),
        }
    }

    /// The kernel as a function of the present context, which alone can be asked for what it needs. The driver refuses a
    /// CUkernel there as an invalid handle (accel-sim/accel-sim-framework#521).
    fn function(self, inside: &Inside) -> Kernel {
        let (mut value, mut function) = (0, null_mut());
        // SAFETY: the number and the pointer are ours; the caller of `launch` vouches for the kernel.
        let asked = quietly(|| unsafe {
            match inside.cuFuncGetAttribute(&mut value, MAX_THREADS, self.0)? {
                code::INVALID_HANDLE => inside.cuKernelGetFunction(&mut function, self.0.cast()).map(Some),
                _ => Ok(None),
            }
        });
        if matches!(asked, Ok(Some(SUCCESS))) { Kernel(function) } else { self }
    }

    fn attribute(self, inside: &Inside, attribute: c_int) -> Result<i64> {
        let mut value = 0;
        // SAFETY: the number is ours; the caller of `launch` vouches for the function.
        let number = unsafe { inside.cuFuncGetAttribute(&mut value, attribute, self.0)? };
        inside.gpu().check(number, "cuFuncGetAttribute").map(|()| value.into())
    }

    fn facts(self, inside: &Inside) -> Result<Facts> {
        Ok(Facts {
            threads: self.attribute(inside, MAX_THREADS)?,
            static_bytes: self.attribute(inside, STATIC_BYTES)?,
            dynamic_bytes: self.attribute(inside, MAX_DYNAMIC_BYTES)?,
        })
    }

    /// TN_ERR_LIMIT for a launch that the GPU, or this kernel, cannot run.
    fn check_shape(self, inside: &Inside, shape: &Shape, facts: Facts) -> Result<()> {
        let limits = inside.gpu().limits()?;
        for (what, sizes, most) in [("grid", shape.grid, limits.grid), ("block", shape.block, limits.block)] {
            if let Some(at) = (0..3).find(|at| sizes[*at] > most[*at]) {
                return Err(fail(
                    TN_ERR_LIMIT,
                    format_args!("{what}[{at}] is {}, and GPU {} allows {}", sizes[at], inside.gpu().id(), most[at]),
                ));
            }
        }
        check_attributes(inside, shape)?;
        let named = self.named(inside);
        if shape.threads() > facts.threads as u64 {
            return Err(fail(
                TN_ERR_LIMIT,
                format_args!(
                    "{} threads per block, and {named} can run with {}; use smaller blocks, or compile it for fewer registers",
                    shape.threads(),
                    facts.threads
                ),
            ));
        }
        let most = i64::from(limits.block_bytes);
        if shape.block_bytes > facts.dynamic_bytes && shape.block_bytes > most - facts.static_bytes {
            return Err(fail(
                TN_ERR_LIMIT,
                format_args!(
                    "{} bytes of dynamic block memory, beside {} static ones of {named}, are more than the {most} of GPU {}",
                    shape.block_bytes,
                    facts.static_bytes,
                    inside.gpu().id()
                ),
            ));
        }
        Ok(())
    }

    /// The size of a parameter. None: there is no such parameter. TN_ERR_UNSUPPORTED: the driver, older than 12.4,
    /// cannot tell.
    fn parameter(self, inside: &Inside, index: usize) -> Result<Option<usize>> {
        let (mut offset, mut bytes) = (0, 0);
        // SAFETY: the numbers are ours; the caller of `launch` vouches for the function.
        match unsafe { inside.cuFuncGetParamInfo(self.0, index, &mut offset, &mut bytes)? } {
            SUCCESS => Ok(Some(bytes)),
            code::INVALID_VALUE => Ok(None),
            number => inside.gpu().check(number, "cuFuncGetParamInfo").map(|()| None),
        }
    }

    /// TN_ERR_COUNT, TN_ERR_INVALID: the kernel has another number of parameters, or one of another size. A driver that
    /// cannot tell is believed to agree; what it cannot answer, the launch finds out.
    fn check_parameters(self, inside: &Inside, sizes: &[usize]) -> Result<()> {
        let parameter = |index| quietly(|| self.parameter(inside, index));
        let is_there = |index| matches!(parameter(index), Ok(Some(_)));
        for (index, size) in sizes.iter().enumerate() {
            match parameter(index) {
                Ok(Some(wanted)) if wanted == *size => {}
                Ok(Some(wanted)) => {
                    return Err(fail(
                        TN_ERR_INVALID,
                        format_args!(
                            "args[{index}] is passed as {size} bytes, and parameter {index} of {} has {wanted}; compare kind, ndim and bytes",
                            self.named(inside)
                        ),
                    ));
                }
                Ok(None) => return Err(self.other_count(inside, index, sizes.len())),
                Err(_) => return Ok(()),
            }
        }
        if !is_there(sizes.len()) {
            return Ok(());
        }
        let count = (sizes.len()..MAX_PARAMETERS).find(|index| !is_there(*index)).unwrap_or(MAX_PARAMETERS);
        Err(self.other_count(inside, count, sizes.len()))
    }

    #[cold]
    fn other_count(self, inside: &Inside, parameters: usize, arguments: usize) -> Status {
        let named = self.named(inside);
        fail(TN_ERR_COUNT, format_args!("{arguments} arguments, and {named} has {parameters} parameters"))
    }

    /// The kernel in messages.
    fn named(self, inside: &Inside) -> Named {
        let mut name = core::ptr::null();
        // SAFETY: the pointer is ours; the caller of `launch` vouches for the function.
        let asked = quietly(|| unsafe { inside.cuFuncGetName(&mut name, self.0) });
        if !matches!(asked, Ok(SUCCESS)) || name.is_null() {
            return Named(None);
        }
        // SAFETY: the driver keeps the name as long as the module. It is used in a message during this call.
        Named(Some(unsafe { CStr::from_ptr(name) }))
    }

    /// Raises the limit of the kernel's dynamic memory, if it is lower.
    #[cold]
    fn raise(self, inside: &Inside, bytes: i64) -> Result<i64> {
        let _alone = RAISING.lock();
        let limit = self.attribute(inside, MAX_DYNAMIC_BYTES)?;
        if bytes <= limit {
            return Ok(limit);
        }
        // SAFETY: the caller of `launch` vouches for the function. The caller has checked that the number fits.
        let number = unsafe { inside.cuFuncSetAttribute(self.0, MAX_DYNAMIC_BYTES, bytes as c_int)? };
        inside.gpu().check(number, "cuFuncSetAttribute").map(|()| bytes)
    }

    /// Launches the kernel. `arguments` point to the values of its parameters, and `sizes` are their bytes. A failure
    /// has no effect.
    ///
    /// # Safety
    /// - The function is a CUfunction of the driver whose module is loaded, or a CUkernel whose library is.
    /// - `stream` is one of the device of `inside`, and exists.
    /// - The kernel has parameters of these sizes, unless the driver can tell that it has not.
    /// - The memory that the kernel uses stays valid until the launch is done, and no other access conflicts with it.
    pub unsafe fn launch(
        self,
        inside: &Inside,
        stream: CUstream,
        shape: &Shape,
        sizes: &[usize],
        arguments: &mut [*mut c_void],
    ) -> Result<()> {
        let mut call = || {
            let ([x, y, z], [bx, by, bz], bytes) = (shape.grid, shape.block, shape.block_bytes as u32);
            // SAFETY: the caller's obligation; the driver reads the arguments during the call.
            unsafe {
                if !shape.has_attributes() {
                    let arguments = arguments.as_mut_ptr();
                    return inside.cuLaunchKernel(self.0, x, y, z, bx, by, bz, bytes, stream, arguments, null_mut());
                }
                let (mut list, count) = shape.attributes();
                let config = CUlaunchConfig {
                    gridDimX: x,
                    gridDimY: y,
                    gridDimZ: z,
                    blockDimX: bx,
                    blockDimY: by,
                    blockDimZ: bz,
                    sharedMemBytes: bytes,
                    hStream: stream,
                    attrs: list.as_mut_ptr(),
                    numAttrs: count,
                };
                inside.cuLaunchKernelEx(&config, self.0, arguments.as_mut_ptr(), null_mut())
            }
        };
        if self.is_confirmed(inside.gpu(), shape, sizes) {
            let number = call()?;
            if !matches!(number, code::INVALID_VALUE | code::LAUNCH_OUT_OF_RESOURCES) {
                return inside.gpu().check(number, "cuLaunchKernel");
            }
            // Another library has lowered the limit, or another kernel has this CUfunction now.
            self.confirmed().function.store(0, Ordering::Relaxed);
        }
        let function = self.function(inside);
        function.check_parameters(inside, sizes)?;
        let facts = function.facts(inside)?;
        function.check_shape(inside, shape, facts)?;
        let block_bytes = match shape.block_bytes > facts.dynamic_bytes {
            true => function.raise(inside, shape.block_bytes)?,
            false => facts.dynamic_bytes,
        };
        inside.gpu().check(call()?, "cuLaunchKernel")?;
        if !shape.has_attributes() {
            self.confirm(signature(sizes), facts.threads as u64, block_bytes);
        }
        Ok(())
    }
}

/// TN_ERR_UNSUPPORTED, TN_ERR_INVALID: the GPU has no such launches, or the grid does not consist of whole clusters.
fn check_attributes(inside: &Inside, shape: &Shape) -> Result<()> {
    let gpu = inside.gpu();
    let lacks = |wanted: bool, attribute: Attribute| wanted && gpu.attribute(attribute).unwrap_or(0) == 0;
    let unsupported =
        |what: &str| Err(fail(TN_ERR_UNSUPPORTED, format_args!("GPU {} has no {what}; launch without", gpu.id())));
    let cooperative = shape.flags & TN_LAUNCH_COOPERATIVE != 0;
    if lacks(cooperative, Attribute::CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH) {
        return unsupported("cooperative launches");
    }
    if lacks(shape.cluster != [0; 3], Attribute::CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH) {
        return unsupported("clusters of blocks");
    }
    match (0..3).find(|at| !shape.grid[*at].is_multiple_of(shape.cluster[*at].max(1))) {
        Some(at) => Err(fail(
            TN_ERR_INVALID,
            format_args!(
                "grid[{at}] is {}, which is no multiple of cluster[{at}] = {}",
                shape.grid[at], shape.cluster[at]
            ),
        )),
        None => Ok(()),
    }
}

/// `kernel "scale"`, or `the kernel`.
struct Named(Option<&'static CStr>);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.and_then(|name| name.to_str().ok()) {
            Some(name) => write!(f, "kernel \"{name}\""),
            None => f.write_str("the kernel"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_another_order_or_number_have_another_signature() {
        let lists: [&[usize]; 7] = [&[], &[0], &[8], &[8, 24], &[24, 8], &[8, 24, 24], &[24, 8, 24]];
        for (at, list) in lists.iter().enumerate() {
            assert!(lists[..at].iter().all(|other| signature(other) != signature(list)), "{list:?}");
        }
    }
}
