//! What the project's commands are made of: a module for each command, and `tools` with what they share.
//!
//! `main` picks the command. The packages `xtask/bench` and `xtask/header` are commands of their own, which use these
//! modules.

pub mod abi;
pub mod bundle;
pub mod cuda;
pub mod debian;
pub mod demo;
pub mod diagram;
pub mod dist;
pub mod distributed;
pub mod doc;
pub mod documents;
pub mod fuzz;
pub mod gate;
pub mod header_tools;
pub mod install;
pub mod malloc;
pub mod old_programs;
pub mod packages;
pub mod page;
pub mod portable;
pub mod programs;
pub mod ptx;
pub mod python;
pub mod release;
pub mod run;
pub mod setup;
pub mod sim;
pub mod sim_install;
pub mod sim_peers;
pub mod site;
pub mod sources;
pub mod target;
pub mod tools;
