//! `--refuse-grade`: whatever a decision rests on is looked at, also what let it come to a yes.

use std::sync::Arc;

use gongji::grpc::proto;
use gongji::policy::{self, PolicyFiles};
use prost::Message as _;
use tonic::Status;

use crate::support::*;

/// Refuses invented values, under policies with `from` replaced by `to` in one file.
fn refuse(setup: &mut Setup, file: &str, from: &str, to: &str) {
    let mut files = PolicyFiles::embedded();
    let text = files.0.get_mut(file).expect("a file");
    assert!(text.contains(from), "{file} has no {from}");
    *text = text.replacen(from, to, 1);
    setup.book = Arc::new(policy::load(&files).unwrap_or_else(|error| panic!("{error}")));
    setup.config.refuse_grade = "demo".to_owned();
}

/// The national value of a day, made an invented one.
fn invent(setup: &mut Setup, key: &str, start: &str) {
    let file = "national/policy.toml";
    let files = PolicyFiles::embedded();
    let head = format!("[[{key}]]\nstart = {start}\n");
    let rest = files.0[file].split(&head).nth(1).and_then(|rest| rest.split("\n\n").next()).expect("an entry");
    let graded = rest.replace("grade = \"UNVERIFIED\"", "grade = \"DEMO\"");
    let invented = if graded == rest { format!("grade = \"DEMO\"\n{rest}") } else { graded };
    refuse(setup, file, &format!("{head}{rest}"), &format!("{head}{invented}"));
}

fn named(status: &Status) -> String {
    assert_eq!(words(status).split(' ').nth(1), Some("GRADE_REFUSED"), "{}", words(status));
    told(status).metadata["refused_parameters"].clone()
}

#[test]
fn a_settlement_rests_on_all_that_lets_relatives_pay() {
    let rows = [
        ("modes", "2024-12-02"),
        ("relations", "2024-07-26"),
        ("beneficiary_scope", "2024-12-31"),
        ("owner_tiers", "1998-12-14"),
        ("owner_states", "1998-12-14"),
        ("beneficiary_states", "1998-12-14"),
        ("beneficiary_schemes", "2021-04-22"),
        ("relative_purposes", "2024-07-26"),
        ("aid_per_year", "1998-12-14"),
        ("owners_per_settlement", "1998-12-14"),
    ];
    // The family is filed where nothing is refused; the bill comes to a server that refuses, over the same data.
    let mut server = Setup::embedded().start();
    let (owner, patient) = (server.member(1, "620100", 100_000), server.member(2, "620100", 0));
    server.bind(&owner, &patient);
    for (key, start) in rows {
        server.restart_with(|setup| invent(setup, key, start));
        let mut request = settle("s", &patient, 500);
        request.visit.as_mut().expect("set").care_region_code = "620100".to_owned();
        let refused = server.quote_settlement(quote_of(&request)).expect_err(key);
        assert_eq!(named(&refused), format!("620100/{key} DEMO"));
        let refused = server.settle(request).expect_err(key);
        assert_eq!(named(&refused), format!("620100/{key} DEMO"));
    }
}

/// The order is the patient's region's and counts where it decides; what orders an owner's own payers is nothing to others.
#[test]
fn an_order_of_owners_counts_where_it_decides() {
    let newest = "value = \"NEWEST_FIRST\"\n";
    let invented = format!("{newest}grade = \"DEMO\"\n");
    // Where the patient and the owners are insured, what the owners hold, the bill, and what is refused.
    type Row<'a> = (&'a str, &'a str, &'a [i64], i64, Option<&'a str>);
    let rows: [Row<'_>; 5] = [
        ("420900", "420100", &[100, 100], 150, Some("420900/owner_order DEMO")),
        ("420900", "420100", &[100], 150, None),
        ("420900", "420100", &[100, 0], 150, None),
        // Whoever comes too late and has nothing is as nobody.
        ("420900", "420100", &[0, 100], 50, None),
        ("420100", "420900", &[100, 100], 150, None),
    ];
    for (of_patient, of_owners, held, fen, expected) in rows {
        let mut setup = Setup::memory();
        refuse(&mut setup, "420900-xiaogan/policy.toml", newest, &invented);
        let server = setup.start();
        let patient = server.member(1, of_patient, 0);
        for (number, fen) in (2..).zip(held) {
            server.bind(&server.member(number, of_owners, *fen), &patient);
        }
        let answer = server.settle(settle("s", &patient, fen));
        assert_eq!(answer.err().map(|status| named(&status)).as_deref(), expected, "{of_patient} {of_owners} {held:?}");
    }
}

/// A line that brings its own rate rests on no policy's.
#[test]
fn a_rate_counts_where_a_line_uses_it() {
    let rows: [(&[&str], Option<&str>, &str); 3] = [
        (
            &["0.3", "0.2"],
            None,
            "split.first_self_pay_given 0.3, split.first_self_pay_given 0.2, split.first_self_pay_given",
        ),
        (
            &["0.3", ""],
            Some("620100/first_self_pay_rate DEMO"),
            "split.first_self_pay_given 0.3, split.first_self_pay, split.first_self_pay",
        ),
        (&[""], Some("620100/first_self_pay_rate DEMO"), "split.first_self_pay, split.first_self_pay"),
    ];
    let mut server = Setup::embedded().start();
    let patient = server.member(1, "620100", 0);
    let bill = |rates: &[&str]| {
        let line = |(place, rate): (usize, &&str)| proto::Line {
            line_id: place.to_string(),
            item_code: "XA10BKD".to_owned(),
            category: proto::ItemCategory::Drug.into(),
            list_class: proto::ListClass::B.into(),
            amount_fen: 1_000,
            first_self_pay_rate: (*rate).to_owned(),
            ..Default::default()
        };
        let lines: Vec<_> = rates.iter().enumerate().map(line).collect();
        proto::Bill { total_fen: 1_000 * lines.len() as i64, lines, adjudicated: None }
    };
    let ask = |rates: &[&str]| proto::QuoteSettlementRequest {
        bill: Some(bill(rates)),
        explanation_view: proto::ExplanationView::Full.into(),
        ..quote_of(&settle("s", &patient, 1))
    };
    for (rates, _, expected) in &rows {
        let quoted = server.quote_settlement(ask(rates)).expect("quoted").explanation;
        let told = proto::Explanation::decode(&*quoted).expect("an explanation");
        let first = told.steps.iter().filter(|step| step.rule_id.starts_with("split.first_self_pay"));
        let said = first.map(|step| {
            let given = step.inputs.iter().filter(|input| input.name == "first_self_pay_rate");
            given.fold(step.rule_id.clone(), |said, input| format!("{said} {}", input.value))
        });
        assert_eq!(said.collect::<Vec<_>>().join(", "), *expected, "{rates:?}");
    }
    server.restart_with(|setup| invent(setup, "first_self_pay_rate", "1998-12-14"));
    for (rates, refused, _) in rows {
        let answer = server.quote_settlement(ask(rates));
        assert_eq!(answer.err().map(|status| named(&status)).as_deref(), refused, "{rates:?}");
    }
}

/// Both regions have to allow, so what both say is looked at.
#[test]
fn a_binding_rests_on_what_both_regions_say() {
    let before = "[[owner_order]]\nstart = 2022-01-01\n";
    let relations = "[[relations]]\nstart = 2024-12-31\nvalue = [\"PARENT\", \"CHILD\"]\nsource = \"xg-weak\"\n\
                     grade = \"DEMO\"\nknown_from = 2026-11-22\n\n";
    let mut setup = Setup::memory();
    refuse(&mut setup, "420900-xiaogan/policy.toml", before, &format!("{relations}{before}"));
    let server = setup.start();
    let rows = [("420100", "420900", true), ("420900", "420100", true), ("420100", "420100", false)];
    for (number, (of_owner, of_beneficiary, refused)) in (1..).step_by(2).zip(rows) {
        let (owner, beneficiary) = (server.member(number, of_owner, 0), server.member(number + 1, of_beneficiary, 0));
        let expected = refused.then_some("420900/relations DEMO");
        let request = filing(&format!("b-{number}"), &owner, &beneficiary);
        let checked = server.check_binding(check_of(&request)).err();
        assert_eq!(checked.map(|status| named(&status)).as_deref(), expected, "{of_owner} {of_beneficiary}");
        let bound = server.create_binding(request).err();
        assert_eq!(bound.map(|status| named(&status)).as_deref(), expected, "{of_owner} {of_beneficiary}");
        let ask = proto::CheckSharingRequest {
            owner_region_code: of_owner.to_owned(),
            beneficiary_region_code: of_beneficiary.to_owned(),
            relation: proto::Relation::Parent.into(),
            ..Default::default()
        };
        let shared = server.check_sharing(ask).err();
        assert_eq!(shared.map(|status| named(&status)).as_deref(), expected, "{of_owner} {of_beneficiary}");
    }
}

#[test]
fn an_end_of_insurance_rests_on_what_it_releases() {
    let file = "national/policy.toml";
    let policies = PolicyFiles::embedded();
    let start = policies.0[file].split("[[release_on_end_or_move]]\nstart = ").nth(1).expect("an entry");
    let mut setup = Setup::memory();
    invent(&mut setup, "release_on_end_or_move", &start[..10]);
    let server = setup.start();
    let member = server.member(1, "620100", 0);
    let change = |request: &str, state: proto::InsuranceState| proto::UpdateInsuranceRequest {
        request_id: request.to_owned(),
        member: by_id(&member),
        insurance: Some(proto::Insurance { state: state.into(), ..person(1, "620100").insurance.expect("set") }),
        ..Default::default()
    };
    server.update_insurance(change("u-1", proto::InsuranceState::Suspended)).expect("nothing is released by a pause");
    let refused = server.update_insurance(change("u-2", proto::InsuranceState::Ended)).expect_err("an end releases");
    assert_eq!(named(&refused), "620100/release_on_end_or_move DEMO");
}

#[test]
fn money_between_provinces_rests_on_both_openings() {
    let row = "622900,2024-12-02,first-batch,GUIDE,";
    let mut setup = Setup::memory();
    refuse(&mut setup, "national/cross_province.csv", row, "622900,2024-12-02,first-batch,DEMO,");
    let server = setup.start();
    let ask = |owner: &str, beneficiary: &str| proto::CheckSharingRequest {
        owner_region_code: owner.to_owned(),
        beneficiary_region_code: beneficiary.to_owned(),
        relation: proto::Relation::Parent.into(),
        ..Default::default()
    };
    for pair in [("622900", "510100"), ("510100", "622900")] {
        let refused = server.check_sharing(ask(pair.0, pair.1)).expect_err("an invented opening");
        assert_eq!(named(&refused), "622900/cross_province DEMO");
    }
    server.check_sharing(ask("510100", "130100")).expect("other openings are not invented");
    server.check_sharing(ask("622900", "622900")).expect("nothing is crossed");
}
