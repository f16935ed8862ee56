//! Arrays of random numbers.

use crate::array::Array;
use crate::element::Element;
use crate::error::Result;
use crate::handle::site;
use rand::Rng;
use rand::distr::{Distribution, StandardUniform};
use rand_distr::StandardNormal;
use std::panic::Location;

impl<T: Element> Array<T>
where
    StandardNormal: Distribution<T>,
{
    /// An array of numbers of the normal distribution with mean 0 and variance 1, by the generator of the thread, which
    /// the system seeds. The memory is of the thread's current pool.
    #[track_caller]
    pub fn randn(shape: impl AsRef<[usize]>) -> Result<Array<T>> {
        Array::randn_with(shape, &mut rand::rng())
    }

    /// As [`randn`](Array::randn), by a generator of the caller. The numbers of a seeded one are the same in each run.
    #[track_caller]
    pub fn randn_with(shape: impl AsRef<[usize]>, generator: &mut (impl Rng + ?Sized)) -> Result<Array<T>> {
        sampled(shape.as_ref(), StandardNormal, generator)
    }
}

impl<T: Element> Array<T>
where
    StandardUniform: Distribution<T>,
{
    /// An array of numbers of a uniform distribution, by the generator of the thread, which the system seeds: floats
    /// from 0 to 1 without 1, integers of their whole range. The memory is of the thread's current pool.
    #[track_caller]
    pub fn rand(shape: impl AsRef<[usize]>) -> Result<Array<T>> {
        Array::rand_with(shape, &mut rand::rng())
    }

    /// As [`rand`](Array::rand), by a generator of the caller. The numbers of a seeded one are the same in each run.
    #[track_caller]
    pub fn rand_with(shape: impl AsRef<[usize]>, generator: &mut (impl Rng + ?Sized)) -> Result<Array<T>> {
        sampled(shape.as_ref(), StandardUniform, generator)
    }
}

/// An array of the current pool with a number of the distribution in each element, in C order.
#[track_caller]
fn sampled<T: Element>(
    shape: &[usize],
    distribution: impl Distribution<T>,
    generator: &mut (impl Rng + ?Sized),
) -> Result<Array<T>> {
    site(Location::caller());
    let mut out = Array::zeros(shape)?;
    out.write()?.as_mut_slice()?.fill_with(|| distribution.sample(generator));
    Ok(out)
}
