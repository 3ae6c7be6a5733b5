//! SettlementService.

use crate::support::*;

#[test]
fn a_relative_pays_and_the_repeat_says_so() {
    for_each_store(|setup| {
        let server = setup.start();
        let (mother, son) = server.family(50_000);
        let first = server.settle(settle("s-1", &mother, 12_000)).expect("settled");
        let again = server.settle(settle("s-1", &mother, 12_000)).expect("found again");
        assert_eq!((first.replayed, again.replayed), (false, true));
        assert_eq!(proto::SettleResponse { replayed: false, ..again }, first);
        assert_eq!(server.balances(&son), (0, 38_000));
    });
}
