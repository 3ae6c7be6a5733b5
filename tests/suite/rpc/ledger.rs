//! LedgerService: the proof holds, says what it looked at, and finds what is not as its records make it.

use std::sync::Arc;

use gongji::domain::binding::{Binding, Life, Release, Spends, Wards};
use gongji::domain::ids::{BindingId, MemberId};
use gongji::domain::record::{Event, Job, Record};
use gongji::domain::time::{Moment, parse_day};
use gongji::store::chain::content_hash;
use gongji::store::entity::Standing;
use gongji::store::record::encode_record;
use gongji::store::{Change, Entity, Key};

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
        assert_eq!(found.bindings_checked, 1);
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

/// Facts of a family that stand otherwise than its records say.
#[derive(Default)]
struct Damage {
    binding: Option<fn(&mut Binding)>,
    family: Option<fn(&mut Standing)>,
    wards: Option<fn(&mut Wards)>,
}

/// Writes the damage beside a record that is about something else, and checks the ledger.
fn problems_after(damage: &Damage, of: impl Fn(&TestServer, &str, &str) -> String) -> Vec<String> {
    let mut setup = Setup::memory();
    setup.check_at_end = false;
    let server = setup.start();
    let (mother, son) = (server.member(1, "440300", 0), server.member(2, "440300", 50_000));
    let binding = of(&server, &son, &mother);
    let member = |id: &str| MemberId::parse(id).expect("an id");
    let keys = [
        Key::Binding(BindingId::parse(&binding).expect("an id")),
        Key::Standing(member(&mother)),
        Key::Wards(member(&son)),
    ];
    let ledger = server.ledger();
    server.wait(async {
        assert_eq!(ledger.check().await.expect("checked").problems, Vec::<String>::new());
        let found = ledger.store().load(&keys).await.expect("a look").facts;
        let mut puts = Vec::new();
        for fact in found {
            let mut entity = fact.entity.expect("it is there");
            match (&mut entity, damage) {
                (Entity::Binding(binding), Damage { binding: Some(change), .. }) => change(Arc::make_mut(binding)),
                (Entity::Standing(standing), Damage { family: Some(change), .. }) => change(Arc::make_mut(standing)),
                (Entity::Wards(wards), Damage { wards: Some(change), .. }) => change(Arc::make_mut(wards)),
                _ => continue,
            }
            puts.push((fact.key, entity));
        }
        let began_at = ledger.store().head().await.expect("a head").position;
        let event = Event::JobDone { job: Job::EndHolds, day: parse_day("2025-03-01").expect("a day"), items: 0 };
        let record = encode_record(&Record { event, postings: Vec::new() }, &[0; 32]);
        let change = Change {
            began_at,
            expects: Vec::new(),
            puts,
            content_hash: content_hash(&record),
            record,
            lists: Vec::new(),
            before: None,
        };
        let done = ledger.store().commit(vec![change], ledger.now()).await;
        assert!(done.iter().all(Result::is_ok), "{done:?}");
        ledger.check().await.expect("checked").problems
    })
}

const BINDING: &str = "a binding is not what its records make of it";
const FAMILY: &str = "a family is not what its bindings make of it";
const WARDS: &str = "an owner's bindings are not what their records make of them";

#[test]
fn a_binding_that_is_not_what_its_records_make_of_it_is_found() {
    let bound = |server: &TestServer, owner: &str, beneficiary: &str| server.bind(owner, beneficiary);
    let released = |server: &TestServer, owner: &str, beneficiary: &str| {
        let binding_id = server.bind(owner, beneficiary);
        let request = proto::ReleaseBindingRequest {
            explanation_view: 0,
            request_id: "release".to_owned(),
            target: Some(proto::release_binding_request::Target::BindingId(binding_id.clone())),
            requested_by: proto::BindingParty::Owner as i32,
            channel: proto::Channel::AgencyWindow as i32,
            evidence: release_evidence(),
        };
        server.release_binding(request).expect("released");
        binding_id
    };
    let of_binding = |change| Damage { binding: Some(change), ..Damage::default() };
    let of_family = |change| Damage { family: Some(change), ..Damage::default() };
    let of_wards = |change| Damage { wards: Some(change), ..Damage::default() };
    let in_force: [(&str, Damage, &str); 12] = [
        ("nothing", Damage::default(), ""),
        (
            "waits for a step",
            of_binding(|binding| binding.life = Life::Pending { missing: vec!["FACE_CHECK".to_owned()] }),
            BINDING,
        ),
        (
            "released by nobody",
            of_binding(|binding| {
                binding.life = Life::Released(Release { at: Moment::from_micros(1), requested: true });
            }),
            BINDING,
        ),
        (
            "another cap",
            of_binding(|binding| binding.caps.per_day = Some(gongji::domain::money::Money::fen(1))),
            BINDING,
        ),
        ("another last day", of_binding(|binding| binding.last_day = Some(binding.start)), BINDING),
        ("no tie", of_family(|standing| standing.family.ties.clear()), FAMILY),
        ("a tie twice", of_family(|standing| standing.family.ties.extend(standing.family.ties.clone())), FAMILY),
        ("a tie that does not pay", of_family(|standing| standing.family.ties[0].spends = Spends::No), FAMILY),
        (
            "a tie of another binding",
            of_family(|standing| standing.family.ties[0].binding = BindingId::from_u128(1)),
            FAMILY,
        ),
        ("a tie that ended", of_family(|standing| standing.family.ties[0].last_day = parse_day("2020-01-01")), FAMILY),
        ("no ward", of_wards(|wards| wards.bindings.clear()), WARDS),
        ("a ward of another", of_wards(|wards| wards.bindings[0].beneficiary = MemberId::from_u128(1)), WARDS),
    ];
    for (what, damage, expected) in in_force {
        let found = problems_after(&damage, bound);
        let told: Vec<&str> =
            found.iter().filter_map(|problem| problem.split_once(": ")).map(|(_, what)| what).collect();
        let expected: Vec<&str> = Some(expected).filter(|text| !text.is_empty()).into_iter().collect();
        assert_eq!(told, expected, "{what}");
    }
    let after: [(&str, Damage, &str); 3] = [
        ("nothing", Damage::default(), ""),
        ("in force again", of_binding(|binding| binding.life = Life::InForce), BINDING),
        (
            "by nobody's wish",
            of_binding(|binding| {
                if let Life::Released(release) = &mut binding.life {
                    release.requested = false;
                }
            }),
            BINDING,
        ),
    ];
    for (what, damage, expected) in after {
        let found = problems_after(&damage, released);
        assert_eq!(found.len(), usize::from(!expected.is_empty()), "{what}: {found:?}");
        assert!(found.iter().all(|problem| problem.ends_with(expected)), "{what}: {found:?}");
    }
}
