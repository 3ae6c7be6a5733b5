//! Law 15: a data set has one secret, given when it was made.

use super::harness::*;

pub fn law_15_the_secret_stays_with_the_data(harness: &mut Harness) {
    assert_eq!(harness.store().secret(), SECRET);
    harness.reopen();
    assert_eq!(harness.store().secret(), SECRET);
    harness.crash();
    assert_eq!(harness.store().secret(), SECRET);
}

pub fn law_15_the_secret_is_there_before_the_first_change(harness: &mut Harness) {
    harness.crash();
    assert_eq!(harness.store().secret(), SECRET);
    harness.store().put(1, 1);
    harness.reopen();
    assert_eq!(harness.store().secret(), SECRET);
}
