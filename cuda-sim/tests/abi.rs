//! The structs of the C interface have the layout of the driver's own header, as cudarc has it.

#![allow(dead_code, reason = "only the layouts of the types are used")]

#[path = "../src/base/types.rs"]
mod types;

use cudarc::driver::sys;
use std::mem::{align_of, offset_of, size_of};

/// Compares size, alignment, and the offset of each field.
macro_rules! same {
    ($ours:ident is $theirs:ident: $($field:ident = $name:ident),*) => {
        assert_eq!(size_of::<types::$ours>(), size_of::<sys::$theirs>(), stringify!($ours));
        assert_eq!(align_of::<types::$ours>(), align_of::<sys::$theirs>(), stringify!($ours));
        $(assert_eq!(offset_of!(types::$ours, $field), offset_of!(sys::$theirs, $name), stringify!($ours.$field));)*
    };
}

#[test]
fn structs_have_the_drivers_layout() {
    same!(Copy2D is CUDA_MEMCPY2D_st: src_x = srcXInBytes, src_y = srcY, src_memory = srcMemoryType, src_host = srcHost,
        src_device = srcDevice, src_array = srcArray, src_pitch = srcPitch, dst_x = dstXInBytes, dst_y = dstY,
        dst_memory = dstMemoryType, dst_host = dstHost, dst_device = dstDevice, dst_array = dstArray, dst_pitch = dstPitch,
        width = WidthInBytes, height = Height);
    same!(Copy3D is CUDA_MEMCPY3D_st: src_lod = srcLOD, src_memory = srcMemoryType, src_host = srcHost, src_device = srcDevice,
        src_array = srcArray, src_owner = reserved0, src_pitch = srcPitch, src_height = srcHeight, dst_x = dstXInBytes,
        dst_y = dstY, dst_z = dstZ, dst_memory = dstMemoryType, dst_host = dstHost, dst_device = dstDevice, dst_array = dstArray,
        dst_owner = reserved1, dst_pitch = dstPitch, dst_height = dstHeight, width = WidthInBytes, height = Height, depth = Depth);
    same!(Copy3D is CUDA_MEMCPY3D_PEER_st: src_owner = srcContext, dst_owner = dstContext, src_pitch = srcPitch, depth = Depth);
    same!(Location is CUmemLocation_st: kind = type_, id = id);
    same!(AllocationProp is CUmemAllocationProp_st: kind = type_, handle_types = requestedHandleTypes, location = location,
        win32 = win32HandleMetaData, compression = allocFlags);
    same!(AccessDesc is CUmemAccessDesc_st: location = location, flags = flags);
    same!(PoolProps is CUmemPoolProps_st: kind = allocType, handle_types = handleTypes, location = location,
        win32 = win32SecurityAttributes);
    assert_eq!(size_of::<types::Uuid>(), size_of::<sys::CUuuid>());
}
