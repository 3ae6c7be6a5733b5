//! RecordCertification: channels, states, due days; the same path as every change.

use crate::support::*;

use proto::CertificationChannel as Way;
use proto::CertificationPrecondition as Has;
use proto::CertificationState as State;

fn certify(
    request_id: &str,
    member: &str,
    channel: Way,
    met: &[Has],
    state: State,
) -> proto::RecordCertificationRequest {
    proto::RecordCertificationRequest {
        request_id: request_id.to_owned(),
        member: by_id(member),
        channel: channel as i32,
        met: met.iter().map(|has| *has as i32).collect(),
        state: state as i32,
        ..Default::default()
    }
}

fn move_on(request_id: &str, member: &str, id: &str, state: State) -> proto::RecordCertificationRequest {
    proto::RecordCertificationRequest {
        request_id: request_id.to_owned(),
        member: by_id(member),
        certification_id: id.to_owned(),
        state: state as i32,
        ..Default::default()
    }
}

fn shown(server: &TestServer, member: &str) -> Option<proto::Certification> {
    let request = proto::GetMemberRequest { member_id: member.to_owned(), ..Default::default() };
    server.get_member(request).expect("found").member.expect("set").certification
}

const ALIPAY: &[Has] = &[Has::FaceCheck, Has::IdDocument];

#[test]
fn a_child_certifies_a_parent_and_payment_comes_back() {
    for_each_store(|setup| {
        let mut server = setup.start();
        let mother = server.member(1, "340300", 0);
        assert_eq!(shown(&server, &mother), None);
        // 2025-03-03, after a first payment in January of the year before: overdue since 2025-01-11.
        let request = proto::RecordCertificationRequest {
            by_proxy: true,
            first_paid_date: "2024-01-10".to_owned(),
            ..certify("c-1", &mother, Way::Alipay, ALIPAY, State::Passed)
        };
        let done = server.record_certification(request.clone()).expect("recorded").certification.expect("set");
        assert!(done.certification_id.starts_with("crt_") && done.by_proxy);
        assert_eq!((done.last_passed_date.as_str(), done.resumed_from_date.as_str()), ("2025-03-03", "2025-01-11"));
        // W-75, Bengbu: within 2026, and not more than a year later.
        assert_eq!((done.not_before_date.as_str(), done.due_date.as_str()), ("2026-01-01", "2026-03-03"));
        assert_eq!(done.due_state(), proto::CertificationDueState::Valid);
        server.restart();
        assert_eq!(shown(&server, &mother), Some(done.clone()));
        for (day, state) in [
            ("2025-12-31T23:59:59+08:00", proto::CertificationDueState::Valid),
            ("2026-01-01T00:00:00+08:00", proto::CertificationDueState::Open),
            ("2026-03-03T23:59:59+08:00", proto::CertificationDueState::Open),
            ("2026-03-04T00:00:00+08:00", proto::CertificationDueState::Overdue),
        ] {
            server.clock().set(day);
            assert_eq!(shown(&server, &mother).expect("set").due_state(), state, "{day}");
        }
        // A year later the same request is still answered as it was.
        let again = server.record_certification(request).expect("repeated");
        assert!(again.replayed);
        assert_eq!(again.certification, Some(done));
    });
}

/// W-75, Bengbu's two conditions at once: a second certification in one calendar year moves the interval, and the next year
/// asks for one of its own.
#[test]
fn a_second_certification_in_one_year_does_not_count_for_the_next() {
    let server = Setup::memory().start();
    let mother = server.member(1, "340300", 0);
    let pass = |number: u32| {
        let request = certify(&format!("c-{number}"), &mother, Way::Alipay, ALIPAY, State::Passed);
        server.record_certification(request).expect("recorded").certification.expect("set")
    };
    assert_eq!(pass(1).due_date, "2026-03-03");
    server.clock().set("2025-12-31T12:00:00+08:00");
    let again = pass(2);
    assert_eq!((again.not_before_date.as_str(), again.due_date.as_str()), ("2026-01-01", "2026-12-31"));
    for (day, state) in [
        ("2026-03-04T00:00:00+08:00", proto::CertificationDueState::Open),
        ("2026-12-31T23:59:59+08:00", proto::CertificationDueState::Open),
        ("2027-01-01T00:00:00+08:00", proto::CertificationDueState::Overdue),
    ] {
        server.clock().set(day);
        assert_eq!(shown(&server, &mother).expect("set").due_state(), state, "{day}");
    }
    let back = pass(3);
    assert_eq!((back.resumed_from_date.as_str(), back.due_date.as_str()), ("2027-01-01", "2028-01-01"));
}

/// Found by review: a pass before the first cycle begins brought the next due day forward, though it fulfilled nothing.
#[test]
fn a_pass_before_the_first_cycle_begins_moves_nothing() {
    for_each_store(|setup| {
        let server = setup.start();
        let mother = server.member(1, "350300", 0);
        let pass = |request_id: &str| {
            let request = proto::RecordCertificationRequest {
                first_paid_date: "2024-07-01".to_owned(),
                ..certify(request_id, &mother, Way::Alipay, ALIPAY, State::Passed)
            };
            server.record_certification(request).expect("recorded").certification.expect("set")
        };
        // In Putian the first cycle begins a year after the first payment.
        server.clock().set("2025-06-30T09:00:00+08:00");
        assert_eq!(pass("early").last_passed_date, "");
        server.clock().set("2025-07-01T09:00:00+08:00");
        let done = pass("in-time");
        assert_eq!((done.last_passed_date.as_str(), done.resumed_from_date.as_str()), ("2025-07-01", ""));
        assert_eq!(done.due_date, "2026-07-01");
    });
}

#[test]
fn what_is_handed_in_waits_for_its_review() {
    let server = Setup::memory().start();
    let father = server.member(1, "130100", 0);
    let app = &[Has::IdentityBound, Has::FaceCheck];
    let begun = server.record_certification(certify("c-1", &father, Way::App12333, app, State::Submitted));
    let id = begun.expect("handed in").certification.expect("set").certification_id;
    assert_eq!(shown(&server, &father).expect("set").due_date, "", "nothing has passed yet");
    let refused = server.record_certification(move_on("c-2", &father, &id, State::Refused)).expect("refused");
    assert_eq!(refused.certification.expect("set").ended_date, "2025-03-03");
    let late = server.record_certification(move_on("c-3", &father, &id, State::Passed));
    assert_eq!(failed(late), "FailedPrecondition CERTIFICATION_NOT_OPEN");
    // A visit: appointed, then passed.
    let visit = certify("c-4", &father, Way::HomeVisit, &[Has::Appointment], State::Appointed);
    let id = server.record_certification(visit).expect("appointed").certification.expect("set").certification_id;
    let passed = server.record_certification(move_on("c-5", &father, &id, State::Passed)).expect("passed");
    assert_eq!(passed.certification.expect("set").due_date, "2026-03-03");
    assert_eq!(server.head(), 5, "a member and four changes");
}

#[test]
fn a_channel_that_is_not_open_refuses_with_every_reason() {
    let server = Setup::memory().start();
    let father = server.member(1, "130100", 0);
    let check = |number: usize, request: proto::RecordCertificationRequest, expected: &str| {
        let request = proto::RecordCertificationRequest { request_id: format!("r-{number}"), ..request };
        let refused = server.record_certification(request).expect_err("refused");
        let found = told(&refused);
        let reasons = found.metadata.get("reasons").cloned().unwrap_or_else(|| words(&refused));
        assert_eq!(reasons, expected);
    };
    check(1, certify("", &father, Way::Wechat, &[Has::FaceCheck], State::Passed), "PRECONDITION_MISSING");
    let window = certify("", &father, Way::Agency, &[Has::IdDocument], State::Submitted);
    let proxy = proto::RecordCertificationRequest { by_proxy: true, ..window };
    check(2, proxy, "PRECONDITION_MISSING,PROXY_NOT_ALLOWED");
    check(3, certify("", &father, Way::App12333, &[], State::Passed), "PRECONDITION_MISSING,CERTIFICATION_NOT_OPEN");
    check(4, certify("", &father, Way::Alipay, ALIPAY, State::Appointed), "CERTIFICATION_NOT_OPEN");
    let unknown = "crt_00000000000000000000000000000001";
    check(5, move_on("", &father, unknown, State::Passed), "CERTIFICATION_NOT_OPEN");
    let invalid = "InvalidArgument INVALID_FIELDS";
    check(6, move_on("", &father, "", State::Passed), &format!("{invalid} channel"));
    check(7, move_on("", &father, "crt_1", State::Unspecified), &format!("{invalid} certification_id state"));
    let moved = move_on("", &father, unknown, State::Passed);
    let more = proto::RecordCertificationRequest { by_proxy: true, dependant: true, met: vec![1], ..moved };
    check(9, more, &format!("{invalid} by_proxy dependant met"));
    let tomorrow = certify("", &father, Way::Alipay, ALIPAY, State::Passed);
    let paid = |day: &str| proto::RecordCertificationRequest { first_paid_date: day.to_owned(), ..tomorrow.clone() };
    check(10, paid("2025-03-04"), &format!("{invalid} first_paid_date"));
    check(
        8,
        certify("", "mem_00000000000000000000000000000001", Way::Alipay, ALIPAY, State::Passed),
        "NotFound MEMBER_NOT_FOUND",
    );
    assert_eq!(server.head(), 1);
}
