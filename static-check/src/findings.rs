//! Findings: what is reported, where, and how sure it is.

use std::path::PathBuf;

/// A rule of `docs/spec/static-checks.md`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rule {
    /// SC-1: a guard or a scope is not ended.
    NotEnded = 1,
    /// SC-2: a handle is not released.
    NotReleased,
    /// SC-3: a promise is not released.
    PromiseLost,
    /// SC-4: a handle is ended twice.
    EndedTwice,
    /// SC-5: a handle is used after its end.
    UsedAfterEnd,
    /// SC-6: an array is used after it was given.
    UsedAfterGive,
    /// SC-7: a use conflicts with an open guard.
    Conflict,
    /// SC-8: an address is used after the end of its guard.
    AddressAfterEnd,
    /// SC-9: nobody looks at a status.
    StatusIgnored,
    /// SC-10: the message is read after another call may have replaced it.
    MessageReplaced,
    /// SC-11: what is made has no call site.
    NoCallSite,
    /// SC-12: a handle is used that no call has made.
    NeverMade,
}

impl Rule {
    /// All rules, in the order of their numbers.
    pub const ALL: [Rule; 12] = [
        Rule::NotEnded,
        Rule::NotReleased,
        Rule::PromiseLost,
        Rule::EndedTwice,
        Rule::UsedAfterEnd,
        Rule::UsedAfterGive,
        Rule::Conflict,
        Rule::AddressAfterEnd,
        Rule::StatusIgnored,
        Rule::MessageReplaced,
        Rule::NoCallSite,
        Rule::NeverMade,
    ];

    /// Its id: "SC-4".
    pub fn id(self) -> String {
        format!("SC-{}", self as u32)
    }

    /// One sentence for lists of rules.
    pub fn title(self) -> &'static str {
        match self {
            Rule::NotEnded => "A guard or scope is not ended.",
            Rule::NotReleased => "A handle is not released.",
            Rule::PromiseLost => "A promise is not released.",
            Rule::EndedTwice => "A handle is ended twice.",
            Rule::UsedAfterEnd => "A handle is used after its end.",
            Rule::UsedAfterGive => "An array is used after it was given away.",
            Rule::Conflict => "A use conflicts with an open guard.",
            Rule::AddressAfterEnd => "An address is used after its guard ended.",
            Rule::StatusIgnored => "A status is ignored.",
            Rule::MessageReplaced => "The error message may be that of another call.",
            Rule::NoCallSite => "What is made has no call site.",
            Rule::NeverMade => "A handle is used that no call has made.",
        }
    }

    /// The place in a list of findings: first what corrupts data, then what fails, then what leaks, then the rest.
    pub fn rank(self) -> u32 {
        match self {
            Rule::AddressAfterEnd => 1,
            Rule::UsedAfterEnd | Rule::EndedTwice | Rule::UsedAfterGive | Rule::Conflict | Rule::NeverMade => 2,
            Rule::NotEnded | Rule::NotReleased | Rule::PromiseLost => 3,
            Rule::StatusIgnored | Rule::MessageReplaced => 4,
            Rule::NoCallSite => 5,
        }
    }
}

/// A line of a source file. Lines and columns begin at 1.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// The path as the compiler was given it.
    pub file: PathBuf,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// What is wrong at a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The id of a rule, or the option that turns a warning of clang off.
    pub rule: String,
    /// 1 is shown first.
    pub rank: u32,
    /// Where.
    pub place: Place,
    /// What, in one sentence without a full stop.
    pub message: String,
    /// Other places that explain it.
    pub notes: Vec<(Place, String)>,
}

/// Sorts by rank, then place, and drops what is there twice: a header that several files include.
pub fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|a, b| (a.rank, &a.place, &a.rule).cmp(&(b.rank, &b.place, &b.rule)));
    findings.dedup_by(|a, b| a.place == b.place && a.rule == b.rule);
    findings
}
