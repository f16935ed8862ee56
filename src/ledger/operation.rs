//! The operations of expressions, and the tag by which a claim names its expression node.

use crate::slots::Id;

/// The operation of an expression node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Operation {
    /// An array.
    Leaf,
    /// x + y
    Add,
    /// x - y
    Subtract,
    /// A product of matrices, or of a matrix and a vector.
    Multiply,
    /// The lower Cholesky factor.
    Cholesky,
    /// The LU factors, with which equations are solved.
    Lu,
    /// The permutation, the lower or the upper factor of LU factors.
    LuPart,
    /// The solution x of m x = b, for a diagonal, a triangle or LU factors.
    Solve,
    /// A number times x.
    Scale,
    /// The transpose.
    Transpose,
    /// x * y, element by element.
    Times,
    /// x / y, element by element.
    Divide,
    /// -x
    Negate,
    /// Square roots, element by element.
    Sqrt,
    /// e to the x, element by element.
    Exp,
    /// Natural logarithms, element by element.
    Log,
    /// The sum over an axis.
    Sum,
    /// All elements of a matrix, with the zeros that its form implies.
    Dense,
}

impl Operation {
    pub(crate) const ALL: [Operation; 18] = [
        Operation::Leaf,
        Operation::Add,
        Operation::Subtract,
        Operation::Multiply,
        Operation::Cholesky,
        Operation::Lu,
        Operation::LuPart,
        Operation::Solve,
        Operation::Scale,
        Operation::Transpose,
        Operation::Times,
        Operation::Divide,
        Operation::Negate,
        Operation::Sqrt,
        Operation::Exp,
        Operation::Log,
        Operation::Sum,
        Operation::Dense,
    ];

    /// Its name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::Leaf => "leaf",
            Operation::Add => "add",
            Operation::Subtract => "subtract",
            Operation::Multiply => "multiply",
            Operation::Cholesky => "cholesky",
            Operation::Lu => "lu",
            Operation::LuPart => "lu_part",
            Operation::Solve => "solve",
            Operation::Scale => "scale",
            Operation::Transpose => "transpose",
            Operation::Times => "elementwise multiply",
            Operation::Divide => "divide",
            Operation::Negate => "negate",
            Operation::Sqrt => "sqrt",
            Operation::Exp => "exp",
            Operation::Log => "log",
            Operation::Sum => "sum",
            Operation::Dense => "dense",
        }
    }
}

/// The node that owns a claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeTag {
    /// The bits of its handle, also after its release.
    pub(crate) id: Id,
    /// The operation that waits for the node; Leaf: none yet.
    pub(crate) waits: Operation,
}
