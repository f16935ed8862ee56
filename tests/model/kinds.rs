//! The kinds of operations in a random trace, and how often each is drawn.
//!
//! Contract: data only.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Make,
    Release,
    End,
    Clone,
    View,
    BorrowRead,
    BorrowWrite,
    Import,
    Give,
    Take,
    Enter,
    Leave,
    Leaf,
    Build,
    Compute,
    ExprRelease,
    Export,
    WriteThrough,
    BorrowAll,
    SplitWrite,
    Fill,
    Zero,
    CopyInto,
    Copy,
    CopyToHost,
    CopyFromHost,
    Cancel,
    PromiseRelease,
    Weaken,
    Upgrade,
    WeakRelease,
    Parts,
    WhyNot,
    Overlap,
    HoldersOf,
    RunReleases,
    Forbid,
    WriteForeign,
    Query,
    IsUnique,
    SetForm,
    SharedCreate,
    SharedGet,
    SharedSet,
    SharedUpdate,
    UpdateBegin,
    UpdateEnd,
    SharedRelease,
    Return,
    FunctionCreate,
    FunctionCall,
    FunctionRelease,
    Place,
    Launch,
}

/// Relative frequency of each kind. A new kind or weight changes the trace that a seed makes, but not those that
/// failed, see tests/model.rs.
pub const WEIGHTS: [(u32, Kind); 54] = [
    (7, Kind::Make),
    (10, Kind::Release),
    (13, Kind::End),
    (6, Kind::Clone),
    (10, Kind::View),
    (6, Kind::BorrowRead),
    (9, Kind::BorrowWrite),
    (8, Kind::Import),
    (7, Kind::Give),
    (5, Kind::Take),
    (6, Kind::Export),
    (4, Kind::WriteThrough),
    (5, Kind::BorrowAll),
    (3, Kind::SplitWrite),
    (3, Kind::Fill),
    (2, Kind::Zero),
    (4, Kind::CopyInto),
    (2, Kind::Copy),
    (2, Kind::CopyToHost),
    (2, Kind::CopyFromHost),
    (2, Kind::Cancel),
    (3, Kind::PromiseRelease),
    (3, Kind::Weaken),
    (3, Kind::Upgrade),
    (1, Kind::WeakRelease),
    (2, Kind::Parts),
    (2, Kind::WhyNot),
    (2, Kind::Overlap),
    (2, Kind::HoldersOf),
    (2, Kind::RunReleases),
    (1, Kind::Forbid),
    (2, Kind::WriteForeign),
    (1, Kind::Query),
    (1, Kind::IsUnique),
    (4, Kind::SetForm),
    (6, Kind::Enter),
    (5, Kind::Leave),
    (11, Kind::Leaf),
    (13, Kind::Build),
    (7, Kind::Compute),
    (8, Kind::ExprRelease),
    (4, Kind::SharedCreate),
    (5, Kind::SharedGet),
    (4, Kind::SharedSet),
    (4, Kind::SharedUpdate),
    (2, Kind::UpdateBegin),
    (3, Kind::UpdateEnd),
    (1, Kind::SharedRelease),
    (2, Kind::Return),
    (3, Kind::FunctionCreate),
    (6, Kind::FunctionCall),
    (1, Kind::FunctionRelease),
    (4, Kind::Place),
    (7, Kind::Launch),
];

/// The kinds that dominate a trace.
#[derive(Clone, Copy, Debug)]
pub enum Theme {
    Everything,
    /// Expressions over a few arrays, most of which are released soon.
    Expressions,
    /// Promises, scopes, and handles that they pass on.
    Scopes,
    /// Shared variables, and what their values share bytes with.
    Variables,
    /// Functions, few of them, with many calls.
    Functions,
}

impl Theme {
    /// The frequency of a kind in a trace of this theme.
    pub fn weight(self, weight: u32, kind: Kind) -> u32 {
        use Kind::*;
        let favoured = match self {
            Theme::Everything => return weight,
            Theme::Expressions => match kind {
                Make => 8,
                Leaf => 18,
                Build => 30,
                Compute => 14,
                ExprRelease => 22,
                Release => 20,
                Clone | View | Weaken | Upgrade | BorrowRead | Export | End | Import => 2,
                _ => 0,
            },
            Theme::Scopes => match kind {
                Give => 30,
                Enter => 26,
                Leave => 18,
                Take | Release | Clone => 10,
                View | Import | Make => 5,
                _ => 0,
            },
            Theme::Variables => match kind {
                SharedGet | SharedSet => 18,
                SharedUpdate => 16,
                SharedCreate => 12,
                Make | View | Release | BorrowWrite | UpdateBegin | UpdateEnd => 8,
                End | Import | Clone | BorrowRead | Export => 6,
                Launch => 6,
                SharedRelease => 3,
                _ => 0,
            },
            Theme::Functions => match kind {
                FunctionCall => 30,
                Place => 26,
                Make | View => 10,
                SharedCreate | SharedGet | FunctionCreate => 8,
                Release | Clone | BorrowWrite | End => 6,
                Return | Import | Fill | Launch => 4,
                FunctionRelease => 1,
                _ => 0,
            },
        };
        // Of all other kinds about one in six.
        if favoured > 0 { 8 * favoured } else { weight }
    }
}
