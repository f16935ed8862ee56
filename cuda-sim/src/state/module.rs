//! Modules, their functions, and the kernels that a program registered.

use crate::base::types::Handle;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_uint, c_void};

/// tenure_sim_launch: the launch as a kernel sees it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Launch {
    pub grid: [c_uint; 3],
    pub block: [c_uint; 3],
    pub shared_bytes: c_uint,
    pub device: c_int,
}

/// tenure_sim_kernel: returns a result code, 0 for success.
pub type Kernel = unsafe extern "C" fn(*const Launch, *mut *mut c_void) -> c_uint;

/// What a kernel of the library Tenure does.
#[derive(Clone, Copy, PartialEq)]
pub enum Operation {
    Copy,
    Fill,
    Transpose,
}

/// A kernel of the library Tenure, which the simulator implements itself.
#[derive(Clone, Copy)]
pub struct Own {
    pub operation: Operation,
    pub unit_bytes: u64,
}

#[derive(Clone)]
pub enum Run {
    Registered(Kernel),
    Own(Own),
}

/// A host function that implements the kernels of its name.
#[derive(Clone)]
pub struct Registered {
    pub run: Run,
    /// Bytes of each parameter.
    pub sizes: Vec<usize>,
    /// It may wait for the host, so it runs on a thread of its own.
    pub waits: bool,
    /// What a test set.
    pub attributes: BTreeMap<c_int, c_int>,
}

pub struct Function {
    pub name: String,
    pub module: Handle,
    pub attributes: BTreeMap<c_int, c_int>,
}

pub struct Module {
    pub context: Handle,
    /// Its kernels that the simulator implements.
    pub own: BTreeMap<String, Registered>,
}

/// A library: code that belongs to no context. Each context that uses it has a module of it.
pub struct Library {
    /// As in `Module`.
    pub own: BTreeMap<String, Registered>,
    /// Its module, by context.
    pub modules: BTreeMap<Handle, Handle>,
}

/// A kernel of a library, which has a function in each context.
pub struct LibraryKernel {
    pub name: String,
    pub library: Handle,
}

#[derive(Default)]
pub struct Modules {
    /// The kernels that every module has.
    pub kernels: BTreeMap<String, Registered>,
    pub modules: BTreeMap<Handle, Module>,
    pub functions: BTreeMap<Handle, Function>,
    pub libraries: BTreeMap<Handle, Library>,
    pub library_kernels: BTreeMap<Handle, LibraryKernel>,
}

impl Modules {
    /// Removes the modules of a context that is destroyed.
    pub fn remove_context(&mut self, context: Handle) {
        self.modules.retain(|_, module| module.context != context);
        self.functions.retain(|_, function| self.modules.contains_key(&function.module));
        self.libraries.values_mut().for_each(|library| {
            library.modules.remove(&context);
        });
    }

    /// The kernel of this name in a module.
    pub fn kernel(&self, module: Handle, name: &str) -> Option<&Registered> {
        self.kernels.get(name).or_else(|| self.modules.get(&module)?.own.get(name))
    }
}
