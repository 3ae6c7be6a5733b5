//! Lists: every item once, none that came later, no token of another list.

use std::fmt::Debug;

use tonic::Status;

use crate::support::*;

/// Walks a list in pages of two while it grows, and compares with the list as it was.
fn check<T: PartialEq + Debug>(
    name: &str,
    page: impl Fn(i32, &str) -> Result<(Vec<T>, String), Status>,
    other: impl Fn(&str) -> Result<(Vec<T>, String), Status>,
    grow: impl FnOnce(),
) {
    let (whole, end) = page(500, "").expect("a page");
    assert!(end.is_empty() && whole.len() >= 4, "{name}: {} items, end {end:?}", whole.len());
    let (mut found, mut token) = page(2, "").expect("a page");
    assert_eq!(found.len(), 2, "{name}");
    assert_eq!(failed(other(&token)), "InvalidArgument PAGE_TOKEN_INVALID page_token", "{name}");
    let mut tampered = token.clone();
    let last = if tampered.pop() == Some('0') { '1' } else { '0' };
    tampered.push(last);
    assert_eq!(failed(page(2, &tampered)), "InvalidArgument PAGE_TOKEN_INVALID page_token", "{name}");
    assert_eq!(failed(page(2, "x")), "InvalidArgument PAGE_TOKEN_INVALID page_token", "{name}");
    for bad in ["x", &tampered] {
        assert_eq!(failed(page(501, bad)), "InvalidArgument INVALID_FIELDS page_size page_token", "{name}");
    }
    grow();
    while !token.is_empty() {
        let (more, next) = page(2, &token).expect("a page");
        assert!(more.len() <= 2, "{name}: a page holds no more than asked");
        found.extend(more);
        token = next;
    }
    assert_eq!(found, whole, "{name}");
}

#[test]
fn lists_are_walked_whole_and_without_what_came_later() {
    for_each_store(|setup| {
        let server = setup.start();
        let mother = server.member(1, "440300", 0);
        let sons: Vec<String> = (2..7).map(|number| server.member(number, "440300", 5_000)).collect();
        for son in &sons {
            server.bind(son, &mother);
        }
        for number in 0..5 {
            server.settle(settle(&format!("s-{number}"), &mother, 4_000)).expect("settled");
        }
        let grow = |number: u32| {
            let late = server.member(100 + number, "440300", 100_000);
            server.bind(&late, &mother);
            server.settle(settle(&format!("late-{number}"), &mother, 200)).expect("settled");
        };

        let settlements = |institution: &str, size: i32, token: &str| {
            let by = Some(proto::list_settlements_request::By::InstitutionCode(institution.to_owned()));
            let request = proto::ListSettlementsRequest {
                by,
                page_size: size,
                page_token: token.to_owned(),
                ..Default::default()
            };
            server.list_settlements(request).map(|page| (page.settlements, page.next_page_token))
        };
        check(
            "settlements",
            |size, token| settlements(HOSPITAL, size, token),
            |token| settlements("H002", 2, token),
            || grow(1),
        );

        let bindings = |member: &str, size: i32, token: &str| {
            let party = Some(proto::list_bindings_request::Party::Beneficiary(by_id(member).expect("set")));
            let request = proto::ListBindingsRequest {
                party,
                page_size: size,
                page_token: token.to_owned(),
                ..Default::default()
            };
            server.list_bindings(request).map(|page| (page.bindings, page.next_page_token))
        };
        check(
            "bindings",
            |size, token| bindings(&mother, size, token),
            |token| bindings(&sons[0], 2, token),
            || grow(2),
        );

        let entries = |member: &str, size: i32, token: &str| {
            let request = proto::ListEntriesRequest {
                member: by_id(member),
                page_size: size,
                page_token: token.to_owned(),
                min_ledger_position: 0,
            };
            server.list_entries(request).map(|page| (page.entries, page.next_page_token))
        };
        // A turn of the year and a bill in one record: entries of one record may fall on two pages.
        let rich = server.member(50, "440300", 1_000);
        let current = proto::CreditAccountRequest { bucket: 1, ..credit("cur", &rich, 700) };
        server.credit_account(current).expect("credited");
        server.clock().set("2026-03-03T09:30:00+08:00");
        let request = proto::CreditAccountRequest { bucket: 1, ..credit("cur-2", &rich, 300) };
        server.credit_account(request).expect("credited");
        server.settle(settle("own", &rich, 1_900)).expect("settled");
        let more = || {
            server.credit_account(credit("more", &rich, 5)).expect("credited");
        };
        check("entries", |size, token| entries(&rich, size, token), |token| entries(&mother, 2, token), more);

        let records = |from: i64, size: i32, token: &str| {
            let request = proto::ListRecordsRequest {
                from_position: from,
                page_size: size,
                page_token: token.to_owned(),
                min_ledger_position: 0,
            };
            server.list_records(request).map(|page| (page.records, page.next_page_token))
        };
        check("records", |size, token| records(3, size, token), |token| records(4, 2, token), || grow(3));

        let regions = |province: &str, size: i32, token: &str| {
            let request = proto::ListRegionsRequest {
                province_code: province.to_owned(),
                page_size: size,
                page_token: token.to_owned(),
                ..Default::default()
            };
            server.list_regions(request).map(|page| (page.regions, page.next_page_token))
        };
        check("regions", |size, token| regions("130000", size, token), |token| regions("330000", 2, token), || ());
    });
}

#[test]
fn filters_hold_together() {
    for_each_store(|setup| {
        let server = setup.start();
        let (mother, son) = server.family(50_000);
        let first = server.settle(settle("a", &mother, 1_000)).expect("settled").settlement.expect("set").settlement_id;
        server.refund_settlement(refund_whole("f", &first)).expect("refunded");
        server.clock().set("2025-03-04T00:00:00+08:00");
        server.settle(settle("b", &mother, 1_000)).expect("settled");
        use proto::list_settlements_request::By;
        let count = |by: By, on: &str, state: Option<i32>| {
            let request =
                proto::ListSettlementsRequest { by: Some(by), on: on.to_owned(), state, ..Default::default() };
            server.list_settlements(request).expect("a page").settlements.len()
        };
        let (patient, owner) = (By::Patient(by_id(&mother).expect("set")), By::Owner(by_id(&son).expect("set")));
        let hospital = By::InstitutionCode(HOSPITAL.to_owned());
        let refunded = Some(proto::SettlementState::Refunded as i32);
        let held = Some(proto::SettlementState::Held as i32);
        let rows = [
            (hospital.clone(), "", None, 2),
            (hospital.clone(), "2025-03-03", None, 1),
            (hospital.clone(), "2025-03-04", refunded, 0),
            (hospital.clone(), "2025-03-03", refunded, 1),
            (hospital, "2025-03-05", None, 0),
            (patient, "", refunded, 1),
            (owner, "2025-03-04", None, 1),
            (By::Owner(by_id(&mother).expect("set")), "", None, 0),
            (By::Patient(by_id(&son).expect("set")), "", held, 0),
        ];
        for (place, (by, on, state, expected)) in rows.into_iter().enumerate() {
            assert_eq!(count(by, on, state), expected, "row {place}");
        }
        // What was held of an owner is the owner's to see, though nothing of it was paid.
        let held = server.hold_settlement(hold_of(&settle("h", &mother, 1_000), 600)).expect("held");
        let released = held.settlement.expect("set").settlement_id;
        server.release_hold(release_of("r", &released)).expect("released");
        let (owner, state) = (By::Owner(by_id(&son).expect("set")), Some(proto::SettlementState::Released as i32));
        assert_eq!((count(owner.clone(), "", None), count(owner, "", state)), (3, 1));
    });
}
