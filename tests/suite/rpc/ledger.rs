//! LedgerService: the proof holds, and says what it looked at.

use crate::support::*;

// seed: D35, O98
#[test]
fn the_ledger_is_one_chain_and_checks_itself() {
    for_each_store(|setup| {
        let mut server = setup.start();
        let (mother, _) = server.family(50_000);
        let id = server.settle(settle("s", &mother, 1_000)).expect("settled").settlement.expect("set").settlement_id;
        server.refund_settlement(refund_whole("f", &id)).expect("refunded");
        let before = server.get_head(proto::GetHeadRequest::default()).expect("a head").head.expect("set");
        server.restart();
        let head = server.get_head(proto::GetHeadRequest::default()).expect("a head").head.expect("set");
        assert_eq!(head, before);
        let records = server.list_records(proto::ListRecordsRequest::default()).expect("a page").records;
        use proto::RecordKind as K;
        let kinds: Vec<K> = records.iter().map(|record| record.kind()).collect();
        assert_eq!(
            kinds,
            [K::MemberCreated, K::MemberCreated, K::AccountCredited, K::BindingCreated, K::Settled, K::Refunded]
        );
        let positions: Vec<i64> = records.iter().map(|record| record.position).collect();
        assert_eq!(positions, [1, 2, 3, 4, 5, 6]);
        assert_eq!(records[5].link, head.digest);
        let found = server.check_ledger(proto::CheckLedgerRequest {}).expect("checked");
        let seen = (found.ok, found.records_checked, found.postings_checked, found.accounts_checked, found.head);
        assert_eq!(seen, (true, 6, 3, 1, Some(head)));
        // No record tells who anybody is.
        let text = format!("{records:?}");
        assert!(["张", "CARD-", "440305"].iter().all(|secret| !text.contains(secret)), "{text}");
    });
}

#[test]
fn an_empty_ledger_has_a_head() {
    let server = Setup::memory().start();
    let head = server.get_head(proto::GetHeadRequest::default()).expect("a head").head.expect("set");
    assert_eq!((head.position, head.committed_at), (0, None));
    let bad = proto::ListRecordsRequest { from_position: -1, ..Default::default() };
    assert_eq!(failed(server.list_records(bad)), "InvalidArgument INVALID_FIELDS from_position");
}
