//! What an answer says of why: the value that decided and not another one beside it.

use gongji::grpc::proto;
use prost::Message as _;

use crate::support::*;

const FULL: i32 = proto::ExplanationView::Full as i32;

fn decoded(bytes: &[u8]) -> proto::Explanation {
    proto::Explanation::decode(bytes).expect("an explanation")
}

/// `rule result | parameter region, …` of the steps of a rule.
fn steps(explanation: &proto::Explanation, rule: &str) -> Vec<String> {
    let told = |step: &proto::Step| {
        let named = step.parameters.iter().map(|parameter| format!("{} {}", parameter.name, parameter.region_code));
        format!("{} | {}", step.result, named.collect::<Vec<String>>().join(", "))
    };
    explanation.steps.iter().filter(|step| step.rule_id == rule).map(told).collect()
}

/// Found by review: the modes within a region were cited, and no opening, where the provinces' own modes decide.
#[test]
fn between_provinces_their_modes_and_openings_are_cited() {
    const OPENED: &str = "cross_province_modes 000000, cross_province_since 340400, cross_province_since 510100";
    for_each_store(|setup| {
        let server = setup.start();
        let (owner, patient) = (server.member(1, "340400", 50_000), server.member(2, "510100", 0));
        let file = proto::CreateBindingRequest { explanation_view: FULL, ..filing("b", &owner, &patient) };
        let bound = server.create_binding(file.clone()).expect("bound").explanation.expect("set");
        assert_eq!(steps(&bound, "sharing.cross_province"), [format!("YES | {OPENED}")]);
        assert_eq!(steps(&bound, "sharing.mode"), Vec::<String>::new());
        let again = server.create_binding(file).expect("a repeat");
        assert!(again.replayed && again.explanation == Some(bound.clone()), "kept with the decision");
        let since = bound.steps.iter().flat_map(|step| &step.parameters);
        let since = since.filter(|parameter| parameter.name == "cross_province_since");
        for parameter in since {
            assert_eq!(parameter.value, "2024-12-02");
            assert!(bound.citations.iter().any(|citation| citation.id == parameter.citation_id));
        }
        for view in [FULL, proto::ExplanationView::Summary as i32] {
            let request = proto::SettleRequest { explanation_view: view, ..settle("s", &patient, 1_000) };
            let told = decoded(&server.settle(request).expect("settled").explanation);
            assert_eq!(steps(&told, "draw.excluded"), [format!("MODE_NOT_DIRECT | {OPENED}")], "view {view}");
        }
        // The day before both were open there was nothing between them, and that is what is told.
        let visit = proto::Visit { visit_date: "2024-12-01".to_owned(), ..visit() };
        let request = proto::SettleRequest { visit: Some(visit), ..settle("before", &patient, 1_000) };
        let told = decoded(&server.settle(request).expect("settled").explanation);
        assert_eq!(steps(&told, "draw.excluded"), [format!("REGION_NOT_OPEN | {OPENED}")]);
    });
}

/// An opening that nobody could confirm makes the answer as unsure.
#[test]
fn an_opening_counts_among_what_an_answer_rests_on() {
    let server = Setup::memory().start();
    let weakest = |owner: &str| {
        let request = proto::CheckSharingRequest {
            owner_region_code: owner.to_owned(),
            beneficiary_region_code: "510100".to_owned(),
            relation: proto::Relation::Child as i32,
            on: "2025-01-01".to_owned(),
            ..Default::default()
        };
        let answer = server.check_sharing(request).expect("an answer");
        assert_eq!(answer.decision(), proto::Decision::Yes, "{owner}");
        let told = answer.explanation.expect("set");
        let grades = told.steps.iter().flat_map(|step| &step.parameters).map(|parameter| parameter.grade);
        assert_eq!(grades.max(), Some(told.lowest_grade), "{owner}");
        told.lowest_grade()
    };
    assert_ne!(weakest("340400"), proto::Grade::Unverified);
    assert_eq!(weakest("133100"), proto::Grade::Unverified, "its code is general knowledge");
}

#[test]
fn a_release_and_a_move_say_what_ended_a_binding() {
    for_each_store(|setup| {
        let server = setup.start();
        let (mother, son) = server.family(50_000);
        let release = |request_id: &str| proto::ReleaseBindingRequest {
            request_id: request_id.to_owned(),
            target: Some(proto::release_binding_request::Target::Pair(proto::BindingPair {
                owner: by_id(&son),
                beneficiary: by_id(&mother),
            })),
            requested_by: proto::BindingParty::Owner as i32,
            channel: proto::Channel::AgencyWindow as i32,
            evidence: release_evidence(),
            explanation_view: FULL,
        };
        let done = server.release_binding(release("r")).expect("released");
        let told = done.explanation.clone().expect("set");
        assert_eq!(steps(&told, "binding.release"), ["YES | releases 440300"]);
        let again = server.release_binding(release("r")).expect("a repeat");
        assert!(again.replayed && again.explanation == done.explanation);
        let none = proto::ExplanationView::None as i32;
        let silent = proto::ReleaseBindingRequest { explanation_view: none, ..release("r") };
        assert_eq!(server.release_binding(silent).expect("a repeat").explanation, None);

        server.clock().set("2026-02-01T09:00:00+08:00");
        let bound = server.create_binding(filing("anew", &son, &mother)).expect("bound");
        let binding = bound.binding.expect("set").binding_id;
        let insurance = proto::Insurance {
            region_code: "330100".to_owned(),
            tier: String::new(),
            ..person(2, "440300").insurance.expect("set")
        };
        let update = proto::UpdateInsuranceRequest {
            request_id: "u".to_owned(),
            member: by_id(&son),
            insurance: Some(insurance),
            ..Default::default()
        };
        let done = server.update_insurance(update.clone()).expect("moved");
        assert_eq!(done.released_binding_ids, std::slice::from_ref(&binding));
        let told = done.explanation.clone().expect("set");
        let expected = "YES | release_on_end_or_move 000000, release_sides 000000";
        assert_eq!(steps(&told, "insurance.releases"), [expected]);
        assert_eq!(told.steps[0].subject, format!("payer:{binding}"));
        let again = server.update_insurance(update).expect("a repeat");
        assert!(again.replayed && again.explanation == done.explanation);
    });
}

/// Whoever adds up with a pocket calculator finds the same sums.
#[test]
fn totals_say_what_they_are_the_sum_of() {
    let server = Setup::memory().start();
    let (mother, son) = server.family(700);
    let daughter = server.member(3, "440300", 500);
    server.bind(&daughter, &mother);
    let request = proto::SettleRequest { explanation_view: FULL, ..settle("s", &mother, 1_000) };
    let told = decoded(&server.settle(request).expect("settled").explanation);
    let total = told.steps.iter().find(|step| step.rule_id == "draw.mutual_aid").expect("a step");
    assert_eq!(total.operation, "700 + 300 = 1000");
    assert_eq!((server.balances(&son).1, server.balances(&daughter).1), (0, 200));
}

/// Found by review: the owners' regions' orders were cited, and they order nothing.
#[test]
fn the_order_of_owners_is_the_patients_regions() {
    for_each_store(|setup| {
        let server = setup.start();
        let patient = server.member(1, "420900", 0);
        let owners = [server.member(2, "420100", 700), server.member(3, "420900", 500)];
        let bill = |place: usize| {
            server.bind(&owners[place], &patient);
            let request =
                proto::SettleRequest { explanation_view: FULL, ..settle(&format!("s-{place}"), &patient, 600) };
            let settled = server.settle(request).expect("settled");
            let told = decoded(&settled.explanation);
            let citing = |step: &&proto::Step| step.parameters.iter().any(|named| named.name == "owner_order");
            let citing = told.steps.iter().filter(citing).map(|step| step.rule_id.clone()).collect::<Vec<_>>();
            let paid = settled.settlement.expect("set").contributions;
            let paid = paid.iter().map(|paid| paid.amount_fen).collect::<Vec<_>>();
            (citing, steps(&told, "draw.owner_order"), paid)
        };
        assert_eq!(bill(0), (vec![], vec![], vec![600]), "one owner has no order");
        let order = (vec!["draw.owner_order".to_owned()], vec!["YES | owner_order 420900".to_owned()], vec![500, 100]);
        assert_eq!(bill(1), order, "the newest first, though less lies there");
    });
}

/// The steps about what may be paid: result, what was given, arithmetic.
#[test]
fn what_may_be_paid_is_added_up() {
    let paid: &[[&str; 4]] = &[
        [
            "draw.own_payable",
            "570",
            "deductible_fen 200, co_payment_fen 320, first_self_pay_fen 50",
            "200 + 320 + 50 = 570",
        ],
        ["draw.own_account_order", "YES", "own_balance_fen 300", ""],
        ["draw.relatives_payable", "270", "co_payment_fen 220, first_self_pay_fen 50", "220 + 50 = 270"],
        ["draw.relative", "270", "still_to_pay_fen 270, usable_fen 50000", "min(270, 50000) = 270"],
    ];
    let refused: &[[&str; 4]] = &[
        ["draw.own_account_order", "OWN_BALANCE_NOT_ZERO", "own_balance_fen 300", ""],
        ["draw.excluded", "OWN_BALANCE_NOT_ZERO", "own_balance_fen 300", ""],
    ];
    for (region, rows) in [("620100", paid), ("440300", refused)] {
        let server = Setup::memory().start();
        let (mother, son) = (server.member(1, region, 300), server.member(2, region, 50_000));
        server.bind(&son, &mother);
        let adjudicated = proto::AdjudicatedBill {
            fund_fen: 400,
            deductible_fen: 200,
            first_self_pay_fen: 50,
            full_self_pay_fen: 30,
            person_part_fen: 600,
            ..Default::default()
        };
        let bill = proto::Bill { total_fen: 1_000, adjudicated: Some(adjudicated), lines: Vec::new() };
        let request = proto::SettleRequest { explanation_view: FULL, bill: Some(bill), ..settle("s", &mother, 1) };
        let told = decoded(&server.settle(request).expect("settled").explanation);
        for [rule, result, inputs, operation] in rows {
            let step = told.steps.iter().find(|step| step.rule_id == *rule).expect(rule);
            let given = step.inputs.iter().map(|input| format!("{} {}", input.name, input.value));
            let given = given.collect::<Vec<_>>().join(", ");
            assert_eq!([step.result.as_str(), &given, &step.operation], [*result, inputs, operation], "{rule}");
        }
    }
}

#[test]
fn a_filing_tells_what_was_asked_and_counted() {
    let server = Setup::memory().start();
    let (mother, son) = server.family(100);
    let file = proto::CreateBindingRequest { explanation_view: FULL, ..filing("b", &son, &mother) };
    let told = server.check_binding(check_of(&file)).expect("an answer").explanation.expect("set");
    let rows = [("sharing.relation", "relation PARENT"), ("binding.owners_per_member", "number 1")];
    for (rule, inputs) in rows {
        let step = told.steps.iter().find(|step| step.rule_id == rule).expect(rule);
        assert_eq!(step.subject, "pair", "{rule}");
        let given = step.inputs.iter().map(|input| format!("{} {}", input.name, input.value));
        assert_eq!(given.take(1).collect::<Vec<_>>(), [inputs], "{rule}");
    }
}

/// A bill of one owner's: what bounded the payment is the first parameter, and the only one of a summary.
#[test]
fn a_contribution_names_what_bounded_it() {
    struct Row(&'static str, &'static str, i64, i64, &'static [i64], [&'static str; 3]);
    // Region, day, prior years' money, the binding's cap (0: none), bills; what the last one's step says: result and deciding
    // value, what a summary gives of inputs, the arithmetic.
    let rows = [
        // W-93: a fen above the floor.
        Row("440300", "2021-03-01", 448_786, 0, &[10_000], ["1 | floor 2017-07-01", "", "min(10000, 1) = 1"]),
        Row(
            "440300",
            "2021-03-01",
            500_000,
            0,
            &[100],
            ["100 | relative_buckets 2010-01-01", "", "min(100, 51215) = 100"],
        ),
        Row("440300", "2025-03-03", 90, 0, &[100], ["90 | relative_buckets 2023-10-01", "", "min(100, 90) = 90"]),
        Row(
            "440300",
            "2025-03-03",
            900,
            30,
            &[100],
            ["30 | relative_buckets 2023-10-01", "cap_left_fen 30", "min(100, 900, 30) = 30"],
        ),
        Row("440300", "2025-03-03", 900, 30, &[30], ["30 | relative_buckets 2023-10-01", "", "min(30, 900, 30) = 30"]),
        Row(
            "980300",
            "2024-03-04",
            200_000,
            0,
            &[20_001],
            ["20000 | aid_per_settlement 2024-01-01", "", "min(20001, 190000, 20000) = 20000"],
        ),
        Row(
            "980300",
            "2024-03-04",
            200_000,
            25_000,
            &[15_000, 20_000],
            ["15000 | aid_per_day 2024-01-01", "", "min(20000, 175000, 25000, 15000) = 15000"],
        ),
    ];
    for Row(region, day, prior, cap, bills, expected) in rows {
        let server = Setup::memory().start();
        server.clock().set(&format!("{day}T09:30:00+08:00"));
        let (owner, patient) = (server.member(1, region, prior), server.member(2, region, 0));
        let caps = (cap > 0).then(|| proto::Caps { per_settlement_fen: Some(cap), ..Default::default() });
        server.create_binding(proto::CreateBindingRequest { caps, ..filing("b", &owner, &patient) }).expect("bound");
        let visit = proto::Visit { visit_date: day.to_owned(), care_region_code: region.to_owned(), ..visit() };
        let asked = |place: usize| proto::SettleRequest {
            visit: Some(visit.clone()),
            ..settle(&format!("s-{place}"), &patient, bills[place])
        };
        let last = bills.len() - 1;
        (0..last).for_each(|place| drop(server.settle(asked(place)).expect("settled")));
        let views = [proto::ExplanationView::Summary as i32, FULL];
        let told = views.map(|view| {
            let request = proto::SettleRequest { explanation_view: view, ..asked(last) };
            let told = decoded(&server.quote_settlement(quote_of(&request)).expect("quoted").explanation);
            told.steps.into_iter().find(|step| step.rule_id == "draw.relative").expect("a step")
        });
        let [summary, full] = &told;
        for step in &told {
            let first = &step.parameters[0];
            assert_eq!(format!("{} | {} {}", step.result, first.name, first.start_date), expected[0], "{region} {day}");
            assert_eq!(step.citation_id, first.citation_id);
        }
        let given = summary.inputs.iter().map(|input| format!("{} {}", input.name, input.value));
        assert_eq!((given.collect::<String>().as_str(), full.operation.as_str()), (expected[1], expected[2]));
        assert_eq!(summary.parameters.len(), 1, "only the one that decided");
    }
}

#[test]
fn nobody_explains_a_change_that_no_rule_was_applied_to() {
    let server = Setup::memory().start();
    let member = server.member(1, "620100", 0);
    let insurance = proto::Insurance {
        state: proto::InsuranceState::Suspended.into(),
        ..person(1, "620100").insurance.expect("set")
    };
    let update = proto::UpdateInsuranceRequest {
        request_id: "u".to_owned(),
        member: by_id(&member),
        insurance: Some(insurance),
        ..Default::default()
    };
    assert_eq!(server.update_insurance(update.clone()).expect("changed").explanation, None);
    assert_eq!(server.update_insurance(update).expect("a repeat").explanation, None);
}
