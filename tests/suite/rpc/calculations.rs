//! CalculationService: what the wire adds to the worked cases.

use prost::Message as _;
use tokio_stream::StreamExt;

use crate::support::*;

fn contribution(wage_fen: i64) -> proto::CalculateContributionRequest {
    proto::CalculateContributionRequest {
        region_code: "440300".to_owned(),
        on: "2026-06-01".to_owned(),
        wage_fen: Some(wage_fen),
        average_wage_fen: Some(500_000),
        ..Default::default()
    }
}

fn own(name: &str, value: &str) -> proto::OwnParameter {
    proto::OwnParameter { name: name.to_owned(), value: value.to_owned() }
}

#[test]
fn an_answer_explains_itself_with_sources() {
    let server = Setup::memory().start();
    let found = server.calculate_contribution(contribution(700_000)).expect("calculated");
    let explanation = found.explanation.expect("full by itself");
    let step = explanation.steps.iter().find(|step| step.rule_id == "contribution.person").expect("a step");
    assert_eq!((step.operation.as_str(), step.result_fen), ("700000 × 0.08", Some(56_000)));
    assert_eq!(step.title, "个人缴费");
    let rounding = step.rounding.as_ref().expect("each rounding is told");
    assert_eq!(
        (rounding.mode.as_str(), rounding.before.as_str(), rounding.after.as_str()),
        ("HALF_UP_FEN", "56000", "56000")
    );
    let parameter = &step.parameters[0];
    assert_eq!((parameter.name.as_str(), parameter.start_date.as_str()), ("contribution_rates", "2020-01-01"));
    assert!(explanation.citations.iter().any(|citation| citation.id == parameter.citation_id));
    assert_eq!(explanation.policy_revisions[0].digest.len(), 64);
    assert_eq!(found.weakest_grade, proto::Grade::Unverified as i32);
    // A summary has every amount, and none of the working.
    let parts = |steps: &[proto::Step]| {
        let found = steps.iter().filter(|step| step.rule_id.ends_with("person") || step.rule_id.ends_with("unit"));
        found.map(|step| (step.subject.clone(), step.result_fen)).collect::<Vec<_>>()
    };
    let viewed = |view: proto::ExplanationView| {
        let request = proto::CalculateContributionRequest { explanation_view: view as i32, ..contribution(700_000) };
        server.calculate_contribution(request).expect("calculated").explanation
    };
    assert_eq!(viewed(proto::ExplanationView::None), None);
    let summary = viewed(proto::ExplanationView::Summary).expect("set").steps;
    assert!(summary.iter().all(|step| step.operation.is_empty() && step.inputs.is_empty() && step.title.is_empty()));
    assert!(summary.len() < explanation.steps.len());
    assert_eq!(parts(&summary), parts(&explanation.steps));
}

#[test]
fn a_callers_own_tables_are_read_as_those_of_the_files() {
    let server = Setup::memory().start();
    let with = |parameters: Vec<proto::OwnParameter>| {
        server.calculate_contribution(proto::CalculateContributionRequest { parameters, ..contribution(100_000) })
    };
    let bounds = own("base_bounds", r#"{"lower":"0.5","upper":"2"}"#);
    let found = with(vec![bounds.clone()]).expect("calculated");
    assert_eq!((found.base_fen, found.what_if, found.weakest_grade), (250_000, true, 0));
    // The text an explanation shows can be sent back.
    let steps = found.explanation.expect("set").steps;
    let shown = steps.iter().flat_map(|step| &step.parameters).find(|parameter| parameter.name == "base_bounds");
    let shown = shown.expect("shown").clone();
    assert_eq!((shown.citation_id.as_str(), shown.start_date.as_str()), ("", ""));
    assert_eq!(with(vec![own("base_bounds", &shown.value)]).expect("calculated").base_fen, 250_000);
    let invalid = "InvalidArgument INVALID_FIELDS";
    let rows = [
        (vec![own("bounds", "{}")], "parameters[0].name"),
        (vec![bounds.clone(), bounds], "parameters[1].name"),
        (vec![own("base_bounds", r#"{"lower":"0.5"}"#)], "parameters[0].value.upper"),
        (vec![own("base_bounds", r#"{"lower":"0.5","upper":"2","more":1}"#)], "parameters[0].value.more"),
        (vec![own("base_bounds", r#"{"lower":0.5,"upper":"2"}"#)], "parameters[0].value.lower"),
        (vec![own("base_bounds", r#"{"lower":"3","upper":"2"}"#)], "parameters[0].value"),
        (vec![own("base_bounds", "{")], "parameters[0].value"),
        (vec![own("base_bounds", &" ".repeat(8_193))], "parameters[0].value"),
        (vec![own("contribution_rounding", "UP")], "parameters[0].value"),
        (
            vec![own(
                "maternity",
                r#"{"continuous_months":1,"leave_days":1,"dystocia_days":1,"further_child_days":1,"days_of_month":0}"#,
            )],
            "parameters[0].value",
        ),
    ];
    for (parameters, field) in rows {
        assert_eq!(failed(with(parameters)), format!("{invalid} {field}"));
    }
}

#[test]
fn an_employee_has_a_wage_if_only_none() {
    let server = Setup::memory().start();
    let without = proto::CalculateContributionRequest { wage_fen: None, ..contribution(1) };
    assert_eq!(failed(server.calculate_contribution(without)), "InvalidArgument INVALID_FIELDS wage_fen");
    let none = server.calculate_contribution(contribution(0)).expect("calculated");
    assert_eq!(none.base_fen, none.lower_bound_fen);
}

#[test]
fn every_bad_field_is_named_at_once() {
    let server = Setup::memory().start();
    let absurd = proto::CalculateContributionRequest {
        region_code: "44".to_owned(),
        on: "2026-13-01".to_owned(),
        wage_fen: Some(-1),
        base_wage_fen: Some(1_000_000_000_001),
        average_wage_fen: Some(0),
        injury_class: -1,
        injury_float: "1.2345678".to_owned(),
        tier: "1".to_owned(),
        explanation_view: 9,
        ..Default::default()
    };
    let fields =
        "average_wage_fen base_wage_fen explanation_view injury_class injury_float on region_code tier wage_fen";
    assert_eq!(failed(server.calculate_contribution(absurd)), format!("InvalidArgument INVALID_FIELDS {fields}"));
    let pension = proto::CalculatePensionRequest {
        region_code: "000000".to_owned(),
        retirement_age_months: 2_400,
        paid_months: 1_201,
        average_index: "-1".to_owned(),
        account_balance_fen: -1,
        ..Default::default()
    };
    let fields = "account_balance_fen average_index paid_months retirement_age_months";
    assert_eq!(failed(server.calculate_pension(pension)), format!("InvalidArgument INVALID_FIELDS {fields}"));
    let unknown = proto::CalculateContributionRequest { region_code: "999999".to_owned(), ..contribution(1) };
    assert_eq!(failed(server.calculate_contribution(unknown)), "NotFound REGION_NOT_FOUND");
    let nothing = proto::CalculateContributionRequest { average_wage_fen: None, ..contribution(1) };
    let refused = server.calculate_contribution(nothing).expect_err("no average wage");
    assert_eq!(words(&refused), "FailedPrecondition VALUE_NOT_KNOWN");
    assert_eq!(told(&refused).metadata["parameter"], "average_wage");
}

#[test]
fn the_largest_amounts_are_calculated_or_refused() {
    let server = Setup::memory().start();
    let largest = proto::CalculateContributionRequest {
        average_wage_fen: Some(333_333_333_333),
        ..contribution(1_000_000_000_000)
    };
    let found = server.calculate_contribution(largest.clone()).expect("calculated");
    assert_eq!((found.base_fen, found.lines[0].person_fen), (999_999_999_999, 80_000_000_000));
    let beyond = proto::CalculateContributionRequest { average_wage_fen: Some(333_333_333_334), ..largest };
    assert_eq!(failed(server.calculate_contribution(beyond)), "InvalidArgument INVALID_FIELDS average_wage_fen");
    let pension = proto::CalculatePensionRequest {
        region_code: "500000".to_owned(),
        on: "2026-06-01".to_owned(),
        retirement_age_months: 840,
        base_fen: Some(1_000_000_000_000),
        average_index: "1000".to_owned(),
        paid_months: 600,
        deemed_months: 240,
        months_before_accounts: 840,
        account_balance_fen: 1_000_000_000_000,
        ..Default::default()
    };
    let found = server.calculate_pension(pension).expect("calculated");
    assert_eq!(found.basic_fen, 350_350_000_000_000);
}

fn items(count: usize) -> Vec<proto::CalculationItem> {
    let item = |place: usize| {
        // Every third has no result.
        let wage = if place % 3 == 2 { -1 } else { 300_000 + place as i64 };
        proto::CalculationItem {
            item_id: format!("i-{place}"),
            calculation: Some(proto::calculation_item::Calculation::Contribution(contribution(wage))),
        }
    };
    (0..count).map(item).collect()
}

fn batch(
    server: &TestServer,
    messages: Vec<Vec<proto::CalculationItem>>,
) -> Vec<Result<Vec<proto::CalculationResult>, tonic::Status>> {
    server.wait(async {
        let mut client = proto::calculation_service_client::CalculationServiceClient::new(server.channel());
        let messages: Vec<_> = messages.iter().map(|items| message(items)).collect();
        let answers = client.calculate_batch(tokio_stream::iter(messages)).await.expect("begun");
        let decoded = |results: Vec<bytes::Bytes>| {
            results.into_iter().map(|result| proto::CalculationResult::decode(result).expect("a result")).collect()
        };
        answers.into_inner().map(|answer| answer.map(|answer| decoded(answer.results))).collect().await
    })
}

/// Items are bytes in the generated types: the server reads them one by one.
fn message(items: &[proto::CalculationItem]) -> proto::CalculateBatchRequest {
    proto::CalculateBatchRequest { items: items.iter().map(|item| item.encode_to_vec().into()).collect() }
}

#[test]
fn a_stream_answers_every_item_in_order() {
    let server = Setup::memory().start();
    let sent = [items(300), items(1), items(70)];
    let answers = batch(&server, sent.to_vec());
    assert_eq!(answers.len(), 3);
    for (sent, answer) in sent.iter().zip(answers) {
        let results = answer.expect("answered");
        assert_eq!(results.len(), sent.len());
        for (place, (item, result)) in sent.iter().zip(results).enumerate() {
            assert_eq!(item.item_id, result.item_id);
            match result.result.expect("set") {
                proto::calculation_result::Result::Contribution(found) => {
                    assert_eq!((found.base_fen, found.explanation), (300_000 + place as i64, None));
                }
                proto::calculation_result::Result::Error(error) => {
                    assert_eq!((place % 3, error.reason()), (2, proto::Reason::InvalidFields));
                    assert_eq!(error.violations[0].field, "wage_fen");
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let nothing = proto::CalculationItem { item_id: "a b".to_owned(), calculation: None };
    let results = batch(&server, vec![vec![nothing]]).remove(0).expect("answered");
    let Some(proto::calculation_result::Result::Error(error)) = &results[0].result else { panic!("{results:?}") };
    let fields: Vec<&str> = error.violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["item_id", "calculation"]);
}

#[test]
fn an_item_that_cannot_be_read_hinders_no_other() {
    let server = Setup::memory().start();
    // Few are answered by the thread of the connection, many on threads of their own.
    for count in [2, 300] {
        let mut sent = message(&items(count));
        sent.items[1] = bytes::Bytes::from_static(&[0xff]);
        let answer = server.wait(async {
            let mut client = proto::calculation_service_client::CalculationServiceClient::new(server.channel());
            let mut answers = client.calculate_batch(tokio_stream::iter([sent])).await.expect("begun").into_inner();
            answers.next().await.expect("one").expect("answered").results
        });
        assert_eq!(answer.len(), count);
        for (place, result) in answer.into_iter().enumerate() {
            let result = proto::CalculationResult::decode(result).expect("a result");
            let reason = match result.result.expect("set") {
                proto::calculation_result::Result::Error(error) => Some(error.reason()),
                _ => None,
            };
            let expected = match place {
                1 => Some(proto::Reason::MalformedMessage),
                _ if place % 3 == 2 => Some(proto::Reason::InvalidFields),
                _ => None,
            };
            assert_eq!(reason, expected, "{place}");
            assert_eq!(result.item_id, if place == 1 { String::new() } else { format!("i-{place}") });
        }
    }
}

#[test]
fn messages_and_histories_have_bounds() {
    let small = |config: &mut gongji::config::Config| {
        config.calculation_batch_items = 5;
        config.calculation_periods = 3;
    };
    let server = Setup::memory().with(small).start();
    assert_eq!(batch(&server, vec![items(5)]).remove(0).map(|results| results.len()).ok(), Some(5));
    for count in [0, 6] {
        let refused = batch(&server, vec![items(count)]).remove(0).expect_err("refused");
        assert_eq!(words(&refused), "InvalidArgument INVALID_FIELDS items");
    }
    let period = |year: i32| proto::HistoryPeriod {
        from_month: format!("{year}-01"),
        last_month: format!("{year}-12"),
        index: "1".to_owned(),
        ..Default::default()
    };
    let history = |count: i32| {
        server.calculate_pension(proto::CalculatePensionRequest {
            region_code: "000000".to_owned(),
            on: "2024-01-01".to_owned(),
            retirement_age_months: 720,
            base_fen: Some(500_000),
            history: (0..count).map(|place| period(2000 + place)).collect(),
            ..Default::default()
        })
    };
    assert_eq!(history(3).expect("calculated").paid_months, 36);
    assert_eq!(failed(history(4)), "InvalidArgument INVALID_FIELDS history");
    let paid = |count: i32| {
        let period = |place: i32| proto::PaidPeriod {
            insurance: proto::InsuranceKind::Medical as i32,
            from_month: format!("{}-01", 2000 + place),
            last_month: format!("{}-12", 2000 + place),
        };
        server.assess_contribution_gap(proto::AssessContributionGapRequest {
            region_code: "000000".to_owned(),
            on: "2024-01-01".to_owned(),
            paid: (0..count).map(period).collect(),
            ..Default::default()
        })
    };
    assert_eq!(paid(3).expect("assessed").insurances[0].continuous_months, 36);
    assert_eq!(failed(paid(4)), "InvalidArgument INVALID_FIELDS paid");
}

#[test]
fn an_answer_of_a_stream_has_so_many_bytes() {
    let explained = || {
        let mut sent = items(6);
        for item in &mut sent {
            if let Some(proto::calculation_item::Calculation::Contribution(request)) = &mut item.calculation {
                (request.wage_fen, request.explanation_view) = (Some(700_000), proto::ExplanationView::Full as i32);
            }
        }
        sent
    };
    let server = Setup::memory().start();
    let sizes = |server: &TestServer| -> Vec<usize> {
        let results = batch(server, vec![explained()]).remove(0).expect("answered");
        results.iter().map(prost::Message::encoded_len).collect()
    };
    let all = sizes(&server);
    let told = |bytes: usize| {
        let server = Setup::memory().with(|config| config.calculation_answer_bytes = bytes as u32).start();
        let results = batch(&server, vec![explained()]).remove(0).expect("answered");
        let refused = |result: &proto::CalculationResult| match &result.result {
            Some(proto::calculation_result::Result::Error(error)) => {
                assert_eq!(error.reason(), proto::Reason::MessageTooLarge);
                true
            }
            _ => false,
        };
        results.iter().map(refused).collect::<Vec<_>>()
    };
    let bytes: usize = all.iter().sum();
    assert_eq!(told(bytes), [false; 6]);
    assert_eq!(told(bytes - 1), [false, false, false, false, false, true]);
    assert_eq!(told(all[0]), [false, true, true, true, true, true]);
}

#[test]
fn a_stream_counts_as_a_running_call_until_it_ends() {
    let server = Setup::memory().with(|config| config.concurrent_requests = 1).start();
    server.wait(async {
        let mut client = proto::calculation_service_client::CalculationServiceClient::new(server.channel());
        let (send, sent) = tokio::sync::mpsc::channel(1);
        send.send(message(&items(1))).await.expect("room");
        let sent = tokio_stream::wrappers::ReceiverStream::new(sent);
        let mut answers = client.calculate_batch(sent).await.expect("begun").into_inner();
        assert_eq!(answers.next().await.expect("one").expect("answered").results.len(), 1);
        let refused = client.calculate_contribution(contribution(1)).await.expect_err("no room");
        assert_eq!(words(&refused), "ResourceExhausted OVERLOADED");
        drop(send);
        assert!(answers.next().await.is_none());
        client.calculate_contribution(contribution(1)).await.expect("there is room again");
    });
}

#[test]
fn a_stream_that_stands_still_is_ended() {
    let server = Setup::memory().with(|config| config.stream_idle_ms = 20).start();
    let told = server.wait(async {
        let mut client = proto::calculation_service_client::CalculationServiceClient::new(server.channel());
        let (_send, sent) = tokio::sync::mpsc::channel(1);
        let sent = tokio_stream::wrappers::ReceiverStream::new(sent);
        let mut answers = client.calculate_batch(sent).await.expect("begun").into_inner();
        answers.next().await.expect("told").expect_err("ended")
    });
    assert_eq!(words(&told), "DeadlineExceeded TIME_LIMIT");
}
/// What only the tables and the day can tell is told together too, and what a day or a region does not have by its name.
#[test]
fn faults_that_the_tables_and_the_day_find_are_named_together() {
    let server = Setup::memory().start();
    let invalid = "InvalidArgument INVALID_FIELDS";
    let rates = proto::CalculateContributionRequest {
        injury_class: 9,
        housing_fund_person_rate: "0.13".to_owned(),
        housing_fund_unit_rate: "0.04".to_owned(),
        ..contribution(700_000)
    };
    let fields = "housing_fund_person_rate housing_fund_unit_rate injury_class";
    assert_eq!(failed(server.calculate_contribution(rates)), format!("{invalid} {fields}"));
    let pension = proto::CalculatePensionRequest {
        region_code: "500000".to_owned(),
        on: "2026-06-01".to_owned(),
        retirement_age_months: 720,
        average_index: "1".to_owned(),
        paid_months: 900,
        months_before_accounts: 1_000,
        ..Default::default()
    };
    assert_eq!(failed(server.calculate_pension(pension)), format!("{invalid} months_before_accounts paid_months"));
    let period = |from: &str, last: &str| proto::PaidPeriod {
        insurance: proto::InsuranceKind::Medical as i32,
        from_month: from.to_owned(),
        last_month: last.to_owned(),
    };
    let gap = proto::AssessContributionGapRequest {
        region_code: "000000".to_owned(),
        on: "2026-01-15".to_owned(),
        paid: vec![period("2025-01", "2026-02"), period("2025-06", "2025-07")],
        ..Default::default()
    };
    let fields = "paid[0].last_month paid[1].from_month";
    assert_eq!(failed(server.assess_contribution_gap(gap)), format!("{invalid} {fields}"));
    let certified = proto::CalculateCertificationDueRequest {
        region_code: "000000".to_owned(),
        on: "2026-01-15".to_owned(),
        last_certified: "2026-01-16".to_owned(),
        channel: 99,
        ..Default::default()
    };
    assert_eq!(failed(server.calculate_certification_due(certified)), format!("{invalid} channel last_certified"));
    let twice = proto::CalculateContributionRequest {
        parameters: vec![own("contribution_rounding", "UP"), own("contribution_rounding", "\"FLOOR_FEN\"")],
        ..contribution(1)
    };
    assert_eq!(
        failed(server.calculate_contribution(twice)),
        format!("{invalid} parameters[0].value parameters[1].name")
    );
    // A region that had ended by then, and one that had not begun.
    for (region, on) in [("371200", "2019-01-01"), ("133100", "2017-03-31")] {
        let asked = proto::CalculateContributionRequest {
            region_code: region.to_owned(),
            on: on.to_owned(),
            ..contribution(1)
        };
        assert_eq!(failed(server.calculate_contribution(asked)), "NotFound REGION_NOT_FOUND", "{region} {on}");
    }
}

/// Bounds may be rounded to whole yuan and tiers to the fen: the lowest tier is then the lower bound.
#[test]
fn a_tier_that_is_offered_is_never_outside_the_bounds() {
    let server = Setup::memory().start();
    let tier = |tier: &str| proto::CalculateContributionRequest {
        region_code: "110000".to_owned(),
        on: "2026-01-01".to_owned(),
        scheme: proto::ContributionScheme::Flexible as i32,
        average_wage_fen: Some(1_193_600),
        tier: tier.to_owned(),
        ..Default::default()
    };
    let found = server.calculate_contribution(tier("0.6")).expect("it is offered");
    assert_eq!((found.base_fen, found.lower_bound_fen), (716_200, 716_200));
    let own = proto::CalculateContributionRequest {
        parameters: vec![own("base_bounds", r#"{"lower":"0.7","upper":"3"}"#)],
        ..tier("0.6")
    };
    assert_eq!(failed(server.calculate_contribution(own)), "InvalidArgument INVALID_FIELDS tier");
}

/// Counters follow the pension insurance, else the insurance that was named first, in whatever order they are told of.
#[test]
fn counters_follow_the_insurance_that_was_named_first() {
    let server = Setup::memory().start();
    let period = |insurance: proto::InsuranceKind, from: &str| proto::PaidPeriod {
        insurance: insurance as i32,
        from_month: from.to_owned(),
        last_month: "2026-01".to_owned(),
    };
    use proto::InsuranceKind::{Maternity, Medical, Pension};
    let rows = [
        (vec![period(Maternity, "2026-01"), period(Medical, "2025-12")], 1),
        (vec![period(Medical, "2025-12"), period(Maternity, "2026-01")], 2),
        (vec![period(Maternity, "2026-01"), period(Pension, "2025-11")], 3),
    ];
    for (paid, months) in rows {
        let asked = proto::AssessContributionGapRequest {
            region_code: "000000".to_owned(),
            on: "2026-01-15".to_owned(),
            paid,
            ..Default::default()
        };
        let found = server.assess_contribution_gap(asked).expect("assessed");
        assert!(found.counters.iter().all(|counter| counter.continuous_months == months), "{months}: {found:?}");
    }
}

/// The table that is answered is among what the answer rests on.
#[test]
fn the_channels_of_a_region_are_explained() {
    let server = Setup::memory().start();
    let asked = proto::CalculateCertificationDueRequest {
        region_code: "000000".to_owned(),
        on: "2026-01-15".to_owned(),
        last_certified: "2025-06-01".to_owned(),
        ..Default::default()
    };
    let found = server.calculate_certification_due(asked.clone()).expect("calculated");
    let parameters = |found: &proto::CalculateCertificationDueResponse| {
        let steps = &found.explanation.as_ref().expect("full by itself").steps;
        let ways = steps.iter().flat_map(|step| &step.parameters).find(|known| known.name == "certification_ways");
        ways.expect("it is named").clone()
    };
    let shown = parameters(&found);
    let own =
        proto::CalculateCertificationDueRequest { parameters: vec![own("certification_ways", &shown.value)], ..asked };
    let found = server.calculate_certification_due(own).expect("calculated");
    assert_eq!((found.what_if, found.weakest_grade), (true, 0));
}
