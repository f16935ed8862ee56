//! LA-21: random chains of views against a naive model that lists every element's position.

use crate::support;
use proptest::prelude::*;
use support::layout_oracle::{ALL_STEPS, Naive, cases, root, step};
use tenure::dtype::Dtype;
use tenure::layout::Layout;
use tenure_harness::test;

proptest! {
    #![proptest_config(cases(100_000))]

    #[test]
    fn la_21_chains_of_views_reach_the_right_bytes(seed: u64, steps in prop::collection::vec(any::<u64>(), 1..7)) {
        let base = root(seed);
        let store = base.extent().unwrap_or((0, 0));
        let mut model = Naive::of(&base);
        let mut layout = base;
        for seed in steps {
            let step = step(&layout, &model, seed, ALL_STEPS);
            match (step.ours, step.naive) {
                (Ok(view), Ok(expected)) => {
                    expected.check(&view);
                    (layout, model) = (view, expected);
                }
                (Err(status), Err(expected)) => prop_assert_eq!(status.code(), expected),
                (ours, expected) => prop_assert!(false, "{:?} became {:?}, expected {:?}", layout, ours, expected),
            }
            if let Some((low, end)) = layout.extent() {
                prop_assert!(low >= store.0 && end <= store.1);
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn ar_19_any_strides_are_judged_as_their_bytes_say(
        (shape, strides) in (0usize..4).prop_flat_map(|n| (
            prop::collection::vec(0i64..5, n..=n),
            prop::collection::vec(-20i64..20, n..=n),
        )),
        item in 0usize..15,
    ) {
        let layout = Layout::strided(Dtype::ALL[item], &shape, &strides, 1000).unwrap();
        Naive::of(&layout).check(&layout);
    }
}
