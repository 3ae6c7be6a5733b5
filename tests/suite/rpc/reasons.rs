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
