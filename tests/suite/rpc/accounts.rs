//! AccountService.

use crate::support::*;

#[test]
fn credits_are_checked() {
    for_each_store(|setup| {
        let server = setup.start();
        let son = server.member(1, "440300", 0);
        let poor = server.create_member(proto::CreateMemberRequest {
            insurance: Some(proto::Insurance {
                scheme: proto::Scheme::Resident as i32,
                tier: String::new(),
                has_account: false,
                ..person(2, "440300").insurance.expect("set")
            }),
            ..person(2, "440300")
        });
        let poor = poor.expect("recorded").member.expect("set").member_id;
        let with = |change: fn(&mut proto::CreditAccountRequest)| {
            let mut request = credit("c", &son, 100);
            change(&mut request);
            request
        };
        let bad = "InvalidArgument INVALID_FIELDS";
        let rows = [
            (with(|new| new.amount_fen = 0), format!("{bad} amount_fen")),
            (with(|new| new.amount_fen = -1), format!("{bad} amount_fen")),
            (with(|new| (new.amount_fen, new.kind) = (i64::MIN, 2)), format!("{bad} amount_fen")),
            (with(|new| new.bucket = proto::Bucket::Wallet as i32), format!("{bad} bucket")),
            (with(|new| (new.bucket, new.kind) = (0, 0)), format!("{bad} bucket kind")),
            (with(|new| (new.note_ref, new.member) = ("a b".to_owned(), None)), format!("{bad} member note_ref")),
            (credit("c", &poor, 100), "NotFound ACCOUNT_NOT_FOUND".to_owned()),
            (credit("c", &format!("mem_{:032}", 0), 100), "NotFound MEMBER_NOT_FOUND".to_owned()),
            (with(|new| (new.amount_fen, new.kind) = (-1, 2)), "FailedPrecondition BALANCE_INSUFFICIENT".to_owned()),
        ];
        for (place, (request, expected)) in rows.into_iter().enumerate() {
            assert_eq!(failed(server.credit_account(request)), expected, "row {place}");
        }
        let of = |member: &str| proto::GetAccountRequest { member: by_id(member), ..Default::default() };
        assert_eq!(failed(server.get_account(of(&poor))), "NotFound ACCOUNT_NOT_FOUND");
        let entries = |member: &str| proto::ListEntriesRequest { member: by_id(member), ..Default::default() };
        assert_eq!(failed(server.list_entries(entries(&poor))), "NotFound ACCOUNT_NOT_FOUND");
        let credited = server.credit_account(credit("c", &son, 100)).expect("a refused id may succeed");
        assert_eq!(posted(&credited.account.expect("set"), proto::Bucket::PriorYears), 100);
    });
}

#[test]
fn a_bucket_holds_so_much_and_no_more() {
    let server = Setup::memory().start();
    let son = server.member(1, "440300", 0);
    let most = 1_000_000_000_000;
    let answers = (0..1_001).map(|number| server.credit_account(credit(&format!("c-{number}"), &son, most)));
    let refused: Vec<String> = answers.filter_map(|answer| answer.err().map(|status| words(&status))).collect();
    assert_eq!(refused, ["FailedPrecondition BALANCE_TOO_LARGE"]);
}

#[test]
fn what_relatives_may_use_is_explained() {
    let server = Setup::memory().start();
    let son = server.member(1, "440300", 500);
    let account = server.account(&son);
    assert_eq!((account.usable_by_relatives_fen, account.year, account.quota_frozen_fen), (500, 2025, 0));
    let explanation = account.explanation.expect("FULL by itself");
    assert!(
        explanation
            .steps
            .iter()
            .any(|step| step.rule_id == "account.usable_by_relatives" && step.result_fen == Some(500))
    );
}

/// A repeat shows the account as the change left it, under the region of then.
#[test]
fn a_repeat_after_a_move_knows_nothing_of_it() {
    for_each_store(|setup| {
        let server = setup.start();
        let owner = server.member(1, "330100", 1_000);
        let request = credit("c-1", &owner, 900_600);
        let credited = server.credit_account(request.clone()).expect("credited");
        let open = proto::OpenWalletRequest { request_id: "w-1".to_owned(), member: by_id(&owner) };
        let opened = server.open_wallet(open.clone()).expect("opened");
        let insurance = person(1, "440300").insurance;
        let moved = proto::UpdateInsuranceRequest {
            request_id: "u-1".to_owned(),
            member: by_id(&owner),
            insurance,
            ..Default::default()
        };
        server.update_insurance(moved).expect("moved");
        let again = server.credit_account(request).expect("found");
        assert_eq!(again, proto::CreditAccountResponse { replayed: true, ..credited });
        let again = server.open_wallet(open).expect("found");
        assert_eq!(again, proto::OpenWalletResponse { replayed: true, ..opened });
        assert_eq!(server.account(&owner).region_code, "440300");
    });
}

/// A page is cut at its size and at nothing else: what a quota paid is no entry of its owner's account.
#[test]
fn entries_behind_rows_without_any_are_told() {
    for_each_store(|setup| {
        let server = setup.start();
        let (owner, patient, _) = server.quota(100_000, 50_000);
        for place in 0..20 {
            let mut bill = settle(&format!("s-{place}"), &patient, 100);
            let visit = bill.visit.as_mut().expect("set");
            (visit.care_region_code, visit.visit_date) = ("510100".to_owned(), "2026-02-01".to_owned());
            let settled = server.settle(bill).expect("settled").settlement.expect("set");
            assert_eq!(settled.amounts.expect("set").mutual_aid_fen, 100);
        }
        server.credit_account(credit("last", &owner, 777)).expect("credited");
        let pages = |size: i32| {
            let (mut amounts, mut token) = (Vec::new(), String::new());
            loop {
                let request = proto::ListEntriesRequest {
                    member: by_id(&owner),
                    page_size: size,
                    page_token: token,
                    ..Default::default()
                };
                let page = server.list_entries(request).expect("a page");
                assert!(page.entries.len() <= size as usize);
                amounts.extend(page.entries.iter().map(|entry| entry.amount_fen));
                token = page.next_page_token;
                if token.is_empty() {
                    return amounts;
                }
            }
        };
        let whole = pages(500);
        assert_eq!((whole.last(), whole.iter().sum::<i64>()), (Some(&777), 50_777));
        for size in [1, 2, 3, 10] {
            assert_eq!(pages(size), whole, "pages of {size}");
        }
    });
}
