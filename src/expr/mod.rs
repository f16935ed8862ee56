//! Lazy expressions: built first, computed once. An operation overwrites an operand that has no other user.
//!
//! Contract: a leaf is a claim on its array's store. The array may be released at once; its bytes do not change until
//! the expression no longer needs them. Building makes all checks and computes nothing. `compute` evaluates each node
//! once, operands first, left before right, and releases a value right after its last use. When an operation runs,
//! `rules` decides whether it overwrites an operand, with the operands' ledgers locked; results have identical bits
//! either way. No function recurses, so expressions can be as deep as memory allows. One lock guards all graphs; no
//! kernel runs and nothing is freed under it. Any thread may call.
//!
//! | file | contents |
//! |---|---|
//! | `node` | the graph: nodes and their references |
//! | `rules` | the results of operations, and which operands may be overwritten |
//! | `build` | leaves and operations |
//! | `compute` | evaluations |
//! | `op` | one operation, and what it may overwrite |
//! | `step` | one step of an evaluation |
//! | `execute` | the kernels of one operation |
//! | `explain` | what an evaluation would do, and why |
//! | `predict` | what one operation would do |
//! | `format` | the formats of an explanation |
#![forbid(unsafe_code)]

mod execute;

mod build;

mod compute;

mod explain;

mod predict;

mod op;

mod node;

mod rules;

mod step;

mod format;

pub use build::{Arguments, elementwise, leaf, operation, query};
pub use compute::compute;
pub use explain::explain;
pub use format::Format;
pub use node::{Expr, each_open, release};
