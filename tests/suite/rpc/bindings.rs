//! BindingService.

use crate::support::*;

#[test]
fn a_binding_shows_what_was_filed_but_no_document_number() {
    for_each_store(|setup| {
        let server = setup.start();
        let (mother, son) = (server.member(1, "440300", 0), server.member(2, "440300", 1_000));
        let caps = proto::Caps { per_settlement_fen: Some(0), per_day_fen: Some(7), per_year_fen: None };
        let digest = "ab".repeat(32);
        let mut request = filing("b", &son, &mother);
        request.caps = Some(caps);
        request.relation_detail = "51".to_owned();
        request.priority = Some(9);
        request.last_day = "2025-12-31".to_owned();
        request.evidence[0].digest = digest.clone();
        let made = server.create_binding(request).expect("bound").binding.expect("set");
        assert_eq!((made.caps, made.relation_detail.as_str(), made.priority), (Some(caps), "51", 9));
        assert_eq!((made.start_date.as_str(), made.last_day.as_str()), (&MORNING[..10], "2025-12-31"));
        assert_eq!((made.evidence[0].digest.as_str(), made.evidence[0].reference.as_str()), (digest.as_str(), ""));
        let get = proto::GetBindingRequest { binding_id: made.binding_id.clone(), min_ledger_position: 0 };
        assert_eq!(server.get_binding(get).expect("found").binding, Some(made));
        // A cap of 0 is a cap.
        let settled = server.settle(settle("s", &mother, 100)).expect("settled").settlement.expect("set");
        assert_eq!(settled.excluded_payers[0].reason(), proto::Reason::CapReached);
    });
}

#[test]
fn all_bad_fields_of_a_filing_are_named_at_once() {
    let server = Setup::memory().start();
    let proof = proto::Evidence { r#type: String::new(), reference: "身份证".to_owned(), digest: "ab".to_owned() };
    let request = proto::CreateBindingRequest {
        relation_detail: "son".to_owned(),
        evidence: vec![proof],
        start_date: "today".to_owned(),
        caps: Some(proto::Caps { per_day_fen: Some(-1), ..Default::default() }),
        priority: Some(0),
        ..Default::default()
    };
    let expected = [
        "beneficiary",
        "caps.per_day_fen",
        "channel",
        "evidence[0].digest",
        "evidence[0].reference",
        "evidence[0].type",
        "owner",
        "priority",
        "relation",
        "relation_detail",
        "request_id",
        "start_date",
    ];
    assert_eq!(told(&server.create_binding(request).expect_err("bad")).fields, expected);
}

#[test]
fn days_of_a_filing_are_named_with_the_rest() {
    let server = Setup::memory().start();
    let (mother, son) = server.family(1_000);
    let days = |relation| proto::CreateBindingRequest {
        relation,
        start_date: "2199-01-01".to_owned(),
        last_day: "2001-01-01".to_owned(),
        ..filing("b", &son, &mother)
    };
    let rows = [(0, "last_day relation start_date"), (filing("b", &son, &mother).relation, "last_day start_date")];
    for (relation, fields) in rows {
        let expected = format!("InvalidArgument INVALID_FIELDS {fields}");
        assert_eq!(failed(server.create_binding(days(relation))), expected);
        assert_eq!(failed(server.check_binding(check_of(&days(relation)))), expected);
    }
}

#[test]
fn nobody_there_is_told_with_the_field_and_how_it_was_named() {
    let server = Setup::memory().start();
    let (mother, son) = server.family(1_000);
    let card = || by_card("9999");
    let paper = proto::PaperAuthorisation {
        owner: card(),
        user_card: "1".to_owned(),
        relation: 1,
        phone: "13800000000".to_owned(),
        signature_ref: "s".to_owned(),
    };
    let papers = proto::SettleRequest { paper_authorisations: vec![paper], ..settle("s", &mother, 1) };
    let patient = proto::SettleRequest { patient: card(), ..settle("s", &mother, 1) };
    let owner = proto::CreateBindingRequest { owner: card(), ..filing("b", &son, &mother) };
    let beneficiary = proto::CreateBindingRequest { beneficiary: card(), ..filing("b", &son, &mother) };
    let rows = [
        (server.create_binding(owner).expect_err("nobody"), "owner"),
        (server.create_binding(beneficiary).expect_err("nobody"), "beneficiary"),
        (server.settle(patient).expect_err("nobody"), "patient"),
        (server.settle(papers).expect_err("nobody"), "paper_authorisations[0].owner"),
    ];
    for (status, field) in rows {
        let told = told(&status);
        let (named_by, named) = (told.metadata["named_by"].as_str(), told.metadata["field"].as_str());
        assert_eq!((told.reason.as_str(), named_by, named), ("MEMBER_NOT_FOUND", "card_number", field));
    }
}

#[test]
fn missing_evidence_is_listed() {
    let server = Setup::memory().start();
    let (mother, son) = (server.member(1, "440300", 0), server.member(2, "440300", 1_000));
    let request = proto::CreateBindingRequest { evidence: vec![evidence("OWNER_CARD")], ..filing("b", &son, &mother) };
    let told = told(&server.create_binding(request).expect_err("refused"));
    assert_eq!(
        (told.reason.as_str(), told.metadata["missing_evidence"].as_str()),
        ("EVIDENCE_MISSING", "USER_CARD_NUMBER")
    );
}

#[test]
fn bindings_are_listed_by_party_state_and_day() {
    use proto::list_bindings_request::Party;
    for_each_store(|setup| {
        let server = setup.start();
        let (mother, son) = server.family(1_000);
        let other = server.member(3, "440300", 1_000);
        server
            .create_binding(proto::CreateBindingRequest {
                last_day: "2025-03-05".to_owned(),
                ..filing("o", &other, &mother)
            })
            .expect("bound");
        server.clock().set("2025-03-04T09:00:00+08:00");
        let pair = proto::BindingPair { owner: by_id(&son), beneficiary: by_id(&mother) };
        let release = proto::ReleaseBindingRequest {
            explanation_view: 0,
            evidence: release_evidence(),
            request_id: "r".to_owned(),
            target: Some(proto::release_binding_request::Target::Pair(pair)),
            requested_by: 1,
            channel: proto::Channel::AgencyWindow as i32,
        };
        server.release_binding(release).expect("released");
        server.clock().set("2025-03-06T09:00:00+08:00");
        let of = |id: &str| by_id(id).expect("set");
        let count = |party: Party, state: Option<proto::BindingState>, on: &str| {
            let state = state.map(|state| state as i32);
            let request =
                proto::ListBindingsRequest { party: Some(party), state, on: on.to_owned(), ..Default::default() };
            server.list_bindings(request).expect("a page").bindings.len()
        };
        use proto::BindingState as S;
        let rows = [
            (Party::Beneficiary(of(&mother)), None, "", 2),
            (Party::Beneficiary(of(&mother)), None, "2025-03-02", 0),
            (Party::Beneficiary(of(&mother)), None, "2025-03-03", 2),
            (Party::Beneficiary(of(&mother)), None, "2025-03-04", 1),
            (Party::Beneficiary(of(&mother)), None, "2025-03-05", 1),
            (Party::Beneficiary(of(&mother)), None, "2025-03-06", 0),
            (Party::Beneficiary(of(&mother)), Some(S::Released), "", 1),
            (Party::Beneficiary(of(&mother)), Some(S::Ended), "2025-03-05", 1),
            (Party::Beneficiary(of(&mother)), Some(S::Active), "", 0),
            (Party::Beneficiary(of(&mother)), Some(S::PendingVerification), "", 0),
            (Party::Owner(of(&son)), Some(S::Released), "2025-03-03", 1),
            (Party::Owner(of(&mother)), None, "", 0),
        ];
        for (place, (party, state, on, expected)) in rows.into_iter().enumerate() {
            assert_eq!(count(party, state, on), expected, "row {place}");
        }
    });
}

#[test]
fn what_is_not_there_is_not_found() {
    let server = Setup::memory().start();
    let (mother, nobody) = (server.member(1, "440300", 0), format!("mem_{:032}", 0));
    let binding_id = format!("bnd_{:032}", 0);
    let release = proto::ReleaseBindingRequest {
        explanation_view: 0,
        evidence: release_evidence(),
        request_id: "r".to_owned(),
        target: Some(proto::release_binding_request::Target::BindingId(binding_id.clone())),
        requested_by: 1,
        channel: 3,
    };
    let payers =
        proto::ListPayersRequest { patient: by_id(&nobody), purpose: 1, person_part_fen: 1, ..Default::default() };
    let rows = [
        (
            failed(server.get_binding(proto::GetBindingRequest { binding_id, min_ledger_position: 0 })),
            "NotFound BINDING_NOT_FOUND",
        ),
        (failed(server.release_binding(release)), "NotFound BINDING_NOT_FOUND"),
        (failed(server.create_binding(filing("b", &nobody, &mother))), "NotFound MEMBER_NOT_FOUND"),
        (failed(server.check_binding(check_of(&filing("b", &mother, &nobody)))), "NotFound MEMBER_NOT_FOUND"),
        (failed(server.list_payers(payers)), "NotFound MEMBER_NOT_FOUND"),
    ];
    for (found, expected) in rows {
        assert_eq!(found, expected);
    }
}

/// An answer about payers never tells a balance: neither in a figure nor in the working.
#[test]
fn payers_are_offered_without_their_balances() {
    let server = Setup::memory().start();
    let (mother, _) = server.family(987_654);
    let request = proto::ListPayersRequest {
        patient: by_id(&mother),
        purpose: 1,
        person_part_fen: 100,
        explanation_view: 3,
        ..Default::default()
    };
    let answer = server.list_payers(request).expect("answered");
    assert_eq!((answer.total_can_pay_fen, answer.payers[0].can_pay_fen, answer.payers[0].order), (100, 100, 1));
    assert!(!format!("{answer:?}").contains("987654"));
}

/// A repeat shows the order that was asked for, and nobody in it as released since.
#[test]
fn an_order_is_told_again_as_it_was() {
    for_each_store(|setup| {
        let server = setup.start();
        let mother = server.member(1, "110000", 0);
        let owners = [server.member(2, "110000", 1_000), server.member(3, "110000", 1_000)];
        let binding_ids: Vec<String> = owners.iter().rev().map(|owner| server.bind(owner, &mother)).collect();
        let request = proto::ReorderBindingsRequest {
            request_id: "order".to_owned(),
            beneficiary: by_id(&mother),
            binding_ids: binding_ids.clone(),
        };
        let ordered = server.reorder_bindings(request.clone()).expect("ordered");
        let release = proto::ReleaseBindingRequest {
            request_id: "release".to_owned(),
            target: Some(proto::release_binding_request::Target::BindingId(binding_ids[1].clone())),
            requested_by: proto::BindingParty::Owner as i32,
            explanation_view: 0,
            evidence: release_evidence(),
            channel: proto::Channel::AgencyWindow as i32,
        };
        server.release_binding(release).expect("released");
        let get = proto::GetBindingRequest { binding_id: binding_ids[1].clone(), ..Default::default() };
        let now = server.get_binding(get).expect("found").binding.expect("set");
        assert_eq!(now.state(), proto::BindingState::Released);
        let again = server.reorder_bindings(request).expect("a repeat succeeds");
        assert_eq!(again, proto::ReorderBindingsResponse { replayed: true, ..ordered });
    });
}
