//! The driver version that introduced each function, as CUDA's own `cudaTypedefs.h` gives it. TENURE_SIM_VERSION hides
//! later ones.
#![forbid(unsafe_code)]

use std::ffi::c_int;

/// The functions that each version introduced. A function that is not listed is older than 10.0.
#[rustfmt::skip]
const INTRODUCED: &[(c_int, &[&str])] = &[
    (10000, &["cuGraphAddEmptyNode", "cuGraphClone", "cuGraphCreate", "cuGraphDestroy", "cuGraphExecDestroy",
        "cuGraphGetNodes", "cuGraphInstantiate", "cuGraphLaunch", "cuLaunchHostFunc", "cuStreamEndCapture",
        "cuStreamIsCapturing"]),
    (10010, &["cuStreamBeginCapture_v2", "cuStreamGetCaptureInfo", "cuThreadExchangeStreamCaptureMode"]),
    (10020, &["cuMemAddressFree", "cuMemAddressReserve", "cuMemCreate", "cuMemExportToShareableHandle",
        "cuMemGetAccess", "cuMemGetAllocationGranularity", "cuMemGetAllocationPropertiesFromHandle",
        "cuMemImportFromShareableHandle", "cuMemMap", "cuMemRelease", "cuMemSetAccess", "cuMemUnmap",
        "cuOccupancyAvailableDynamicSMemPerBlock"]),
    (11000, &["cuCtxResetPersistingL2Cache", "cuDevicePrimaryCtxRelease_v2", "cuDevicePrimaryCtxReset_v2",
        "cuDevicePrimaryCtxSetFlags_v2", "cuFuncGetModule", "cuGraphInstantiate_v2", "cuIpcOpenMemHandle_v2",
        "cuMemRetainAllocationHandle", "cuStreamCopyAttributes"]),
    (11010, &["cuEventRecordWithFlags", "cuGraphUpload"]),
    (11020, &["cuDeviceGetDefaultMemPool", "cuDeviceGetMemPool", "cuDeviceSetMemPool", "cuMemAllocAsync",
        "cuMemAllocFromPoolAsync", "cuMemFreeAsync", "cuMemPoolCreate", "cuMemPoolDestroy", "cuMemPoolGetAccess",
        "cuMemPoolGetAttribute", "cuMemPoolSetAccess", "cuMemPoolSetAttribute", "cuMemPoolTrimTo"]),
    (11030, &["cuGetProcAddress", "cuGraphReleaseUserObject", "cuGraphRetainUserObject",
        "cuStreamGetCaptureInfo_v2", "cuUserObjectCreate", "cuUserObjectRelease", "cuUserObjectRetain"]),
    (11040, &["cuCtxCreate_v3", "cuDeviceGetUuid_v2", "cuGraphInstantiateWithFlags"]),
    (11060, &["cuLaunchKernelEx"]),
    (11070, &["cuModuleGetLoadingMode"]),
    (12000, &["cuCtxGetId", "cuGetProcAddress_v2", "cuGraphInstantiateWithParams", "cuKernelGetAttribute",
        "cuKernelGetFunction", "cuKernelSetAttribute", "cuKernelSetCacheConfig", "cuLibraryGetGlobal",
        "cuLibraryGetKernel", "cuLibraryGetManaged", "cuLibraryGetModule", "cuLibraryLoadData",
        "cuLibraryLoadFromFile", "cuLibraryUnload", "cuStreamGetId"]),
    (12010, &["cuCtxSetFlags"]),
    (12020, &["cuMemAdvise_v2", "cuMemPrefetchAsync_v2"]),
    (12030, &["cuFuncGetName", "cuKernelGetName", "cuStreamBeginCaptureToGraph", "cuStreamGetCaptureInfo_v3"]),
    (12040, &["cuFuncGetParamInfo", "cuFuncIsLoaded", "cuFuncLoad", "cuKernelGetParamInfo"]),
    (12050, &["cuCtxCreate_v4", "cuKernelGetLibrary", "cuStreamGetCtx_v2"]),
    (12080, &["cuEventElapsedTime_v2", "cuStreamGetDevice"]),
    (13000, &["cuCtxGetDevice_v2", "cuCtxSynchronize_v2"]),
];

/// The version that introduced a function and its per-thread variant; 0: older than the list.
pub fn driver_version(name: &str) -> c_int {
    let name = name.strip_suffix("_ptsz").or_else(|| name.strip_suffix("_ptds")).unwrap_or(name);
    INTRODUCED.iter().find(|(_, names)| names.contains(&name)).map_or(0, |(version, _)| *version)
}
