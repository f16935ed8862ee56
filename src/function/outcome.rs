//! What a call has between its body and its commit: what the body left, and which bytes are spoken for.
//!
//! Contract: the decisions are made in the order of the places, updates first. Bytes that became the new value of a
//! variable are in `taken`, so no later place gets them. `update` decides about the new values, `output` about what the
//! caller gets.

use super::copies::Copies;
use super::input::PassedInput;
use super::places::{Places, Produced};
use super::reserved::Reserved;
use super::slot::Function;
use crate::borrow::List;
use crate::error::Result;
use crate::lists;

/// The state of a call after its body.
pub struct Outcome<'c, 'a> {
    /// The copies of the call.
    pub copies: &'c mut Copies,
    /// The function that is called.
    pub function: &'c Function,
    /// The inputs as the body had them.
    pub inputs: &'c [PassedInput],
    /// The arrays that the body left and that nobody has taken yet.
    pub places: &'c mut Places,
    /// What the body left, by place.
    pub produced: &'c mut [Option<Produced>],
    /// The variables that the call changes.
    pub updates: &'c mut [Reserved<'a>],
    /// The stores that are new values.
    pub taken: List<u64>,
    /// The outputs for which the caller gets the very bytes that the body left.
    pub handed: List<usize>,
}

impl<'c, 'a> Outcome<'c, 'a> {
    /// Nothing is decided yet.
    pub fn new(
        (copies, function): (&'c mut Copies, &'c Function),
        inputs: &'c [PassedInput],
        places: &'c mut Places,
        produced: &'c mut [Option<Produced>],
        updates: &'c mut [Reserved<'a>],
    ) -> Result<Self> {
        let (taken, handed) = (lists::list(updates.len())?, lists::list(produced.len())?);
        Ok(Outcome { copies, function, inputs, places, produced, updates, taken, handed })
    }

    /// The update whose variable had its value on that store when the call began.
    pub fn update_on(&self, store: u64) -> Option<usize> {
        self.updates.iter().position(|update| update.store == store)
    }

    /// Whether a variable gets a value on another store, so that its present one is free.
    pub fn lets_go(&self, update: usize) -> bool {
        let produced = self.produced[self.places.of_update(update)];
        produced.is_some_and(|produced| produced.store != self.updates[update].store)
    }

    /// Whether an input is on that store.
    pub fn is_of_input(&self, store: u64) -> bool {
        self.inputs.iter().any(|input| input.store == store)
    }
}
