//! Stored bytes are for ever: one sample of each record and fact as this format wrote it, kept in `samples/format-2.txt`.
//!
//! A line that is there must never change; a new variant adds a line. `GONGJI_WRITE_SAMPLES=1 cargo test samples` writes
//! the file anew: look at the difference before you commit it. For a new format, begin a new file and keep reading this.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use gongji::domain::account::{Account, YearEnd};
use gongji::domain::bill::{Adjudicated, Bill, BillContent, ExternalRefs, Line, Visit};
use gongji::domain::binding::{AidUse, Binding, Caps, Evidence, Family, Life, Release, Spends, Tie, Ward, Wards};
use gongji::domain::calc::words::{CertificationChannel, CertificationState};
use gongji::domain::card::Card;
use gongji::domain::certification::Certification;
use gongji::domain::draw::{Contribution, Excluded};
use gongji::domain::identity::IdNumber;
use gongji::domain::ids::{
    BindingId, CertificationId, InstitutionCode, MemberId, RegionCode, SettlementId, TransferId,
};
use gongji::domain::member::{Insurance, Member, Person};
use gongji::domain::money::{Money, Rate, Rounding};
use gongji::domain::paper::{Slip, Slips};
use gongji::domain::policy::{Param, SetPart};
use gongji::domain::posting::{Party, Posting};
use gongji::domain::quota::Quota;
use gongji::domain::reason::Reason;
use gongji::domain::record::{CreditKind, Event, Job, Record, ReleasedBy, Settled, Transfer};
use gongji::domain::rule::{Input, Outcome, Rounded, Rule, Step, Subject, Trace};
use gongji::domain::settlement::hold::{Hold, HoldEnd, HoldState, Mark, MarkPart};
use gongji::domain::settlement::{Amounts, Parts, Refund, Reversal, Settlement};
use gongji::domain::split::Split;
use gongji::domain::time::{Moment, parse_day};
use gongji::domain::vocabulary::{
    Bucket, CardChannel, Category, Channel, Grade, Grant, InstitutionKind, InsuranceState, ListClass, Purpose,
    Relation, Scheme, Sex,
};
use gongji::domain::wallet::{SentTransfer, TransferState, Wallet, WalletDay};
use gongji::domain::wording::Wording;
use gongji::domain::year_close::{Tally, YearClose};
use gongji::domain::year_use::{UseOf, YearUse};
use gongji::store::Entity;
use gongji::store::encoded::Encoded;
use gongji::store::entity::{
    Basis, Decided, JobDay, PaperFact, PayerFact, PolicySet, Request, Standing, StoredCitation, StoredPolicy,
    StoredValue,
};
use gongji::store::record::{decode_entity, decode_record, encode_entity, encode_record};
use jiff::civil::Date;

// No two neighbours of one type have the same value, so that fields which change places change the bytes.

fn day(text: &str) -> Date {
    parse_day(text).expect("a day")
}

fn member_id(number: u128) -> MemberId {
    MemberId::from_u128(0x0193_5b00_0000_7000_8000_0000_0000_0000 + number)
}

fn binding_id() -> BindingId {
    BindingId::from_u128(0x0193_5b00_0001_7000_8000_0000_0000_00b1)
}

fn settlement_id() -> SettlementId {
    SettlementId::from_u128(0x0193_5b00_0002_7000_8000_0000_0000_00c1)
}

fn region(text: &str) -> RegionCode {
    RegionCode::parse(text).expect("a region")
}

fn institution() -> InstitutionCode {
    InstitutionCode::parse("H33010000001").expect("a code")
}

fn member() -> Member {
    let insurance = Insurance {
        scheme: Scheme::Employee,
        tier: "一档".into(),
        state: InsuranceState::Suspended,
        region: region("330100"),
        has_account: true,
        start: day("2019-07-01"),
    };
    Member { id: member_id(1), sex: Sex::Female, insurance }
}

fn account(number: u128) -> Account {
    let (current, prior, wallet) = (Money::fen(123_456), Money::fen(7_890_123), Money::fen(-1));
    let ended = vec![YearEnd { year: 2025, current: Money::fen(4_321), prior: Money::fen(56_789) }];
    Account { member: member_id(number), year: 2026, current, prior, wallet, ended }
}

fn caps() -> Caps {
    Caps { per_settlement: Some(Money::fen(50_000)), per_day: None, per_year: Some(Money::fen(1_000_000)) }
}

fn binding() -> Binding {
    let evidence = |kind: &str| Evidence { kind: kind.into(), reference: "file-42".into(), digest: "ab12".into() };
    Binding {
        id: binding_id(),
        owner: member_id(1),
        beneficiary: member_id(2),
        owner_region: region("330100"),
        beneficiary_region: region("330200"),
        relation: Relation::MaternalGrandparent,
        relation_detail: "外祖母".into(),
        channel: Channel::CityApp,
        evidence: vec![evidence("户口簿"), evidence("承诺书")],
        grants: vec![Grant::Spend, Grant::ViewStatement],
        start: day("2025-03-01"),
        last_day: Some(day("2027-02-28")),
        caps: caps(),
        priority: 300,
        life: Life::Released(Release { at: Moment::from_micros(1_764_000_000_000_001), requested: true }),
    }
}

fn certification() -> Certification {
    Certification {
        id: CertificationId::from_u128(0x0193_5b00_0003_7000_8000_0000_0000_00d1),
        member: member_id(2),
        channel: CertificationChannel::Wechat,
        by_proxy: true,
        dependant: false,
        state: CertificationState::Passed,
        began: day("2026-03-11"),
        ended: Some(day("2026-03-12")),
        last_passed: Some(day("2026-03-13")),
        resumed_from: Some(day("2026-03-14")),
    }
}

fn family() -> Family {
    let tie = Tie {
        binding: binding_id(),
        owner: member_id(1),
        relation: Relation::Spouse,
        spends: Spends::Yes,
        start: day("2025-03-01"),
        last_day: None,
        caps: caps(),
        used_on: Some(day("2026-11-22")),
        used_day: Money::fen(1_500),
        used_year: Money::fen(88_000),
        priority: 2,
        filed: 1_234_567,
    };
    Family { ties: vec![tie] }
}

fn split() -> Split {
    Split {
        total: Money::fen(100_000),
        full_self_pay: Money::fen(1_000),
        over_limit: Money::fen(2_000),
        first_self_pay: Money::fen(3_000),
        in_scope: Money::fen(94_000),
        deductible: Money::fen(30_000),
        fund: Money::fen(51_200),
        hospital_part: Money::fen(10),
        person_part: Money::fen(48_790),
    }
}

fn amounts() -> Amounts {
    let (own_account, mutual_aid, cash) = (Money::fen(40_000), Money::fen(8_000), Money::fen(790));
    Amounts { split: split(), own_account, mutual_aid, cash }
}

fn contributions() -> Vec<Contribution> {
    let own = Contribution {
        payer: member_id(2),
        binding: None,
        relation: None,
        bucket: Bucket::CurrentYear,
        year: 2026,
        amount: Money::fen(40_000),
        refunded: Money::ZERO,
        counted: false,
        from_quota: false,
        paper: Some(300),
    };
    let relative = Contribution {
        payer: member_id(1),
        binding: Some(binding_id()),
        relation: Some(Relation::Child),
        bucket: Bucket::PriorYears,
        year: 2025,
        amount: Money::fen(8_000),
        refunded: Money::fen(100),
        counted: true,
        from_quota: true,
        paper: None,
    };
    vec![own, relative]
}

fn excluded() -> Vec<Excluded> {
    let (binding, relation) = (Some(binding_id()), Some(Relation::Sibling));
    vec![Excluded { payer: member_id(3), binding, relation, reason: Reason::ModeNotDirect }]
}

fn parts() -> Parts {
    let (fund, hospital_part) = (Money::fen(51_200), Money::fen(10));
    Parts { fund, hospital_part, accounts: Money::fen(48_000), cash: Money::fen(790) }
}

fn visit() -> Visit {
    let external = ExternalRefs {
        mdtrt_id: "M-1".into(),
        medins_setl_id: "S-2".into(),
        msgid: "H33010000001202611220930150001".into(),
        invoice_no: "".into(),
    };
    Visit {
        institution_kind: InstitutionKind::Level3,
        care_region: region("330100"),
        purpose: Purpose::Outpatient,
        date: day("2026-11-22"),
        external,
    }
}

fn settlement() -> Settlement {
    Settlement {
        id: settlement_id(),
        institution: institution(),
        patient: member_id(2),
        region: region("330100"),
        visit: visit(),
        amounts: amounts(),
        contributions: contributions(),
        excluded: excluded(),
        policies: vec![[0xd1; 32], [0xd2; 32]],
        refunds: vec![Refund {
            request_id: "H44030001-0002".into(),
            parts: parts(),
            returned: vec![(1, Money::fen(100)), (0, Money::fen(7))],
            at: Moment::from_micros(1_764_000_000_000_002),
            reversal: None,
        }],
        created_at: Moment::from_micros(1_764_000_000_000_003),
        hold: None,
        reversed_by: "H44030001-0003".into(),
        year_deductible: Money::fen(30_000),
    }
}

/// A hold in each of its states, the confirmed one with a refund that was put back.
fn held(state: HoldState) -> Settlement {
    let reversal =
        Reversal { request_id: "H44030001-0004".into(), at: Moment::from_micros(1_764_000_000_000_007), after: 2 };
    let mut settlement = settlement();
    match state {
        HoldState::Confirmed { .. } => settlement.refunds[0].reversal = Some(reversal),
        HoldState::Open | HoldState::Released { .. } | HoldState::Expired { .. } => settlement.refunds.clear(),
    }
    settlement.reversed_by.clear();
    settlement.hold = Some(Hold { expires: Moment::from_micros(1_764_000_000_000_006), state });
    settlement
}

fn postings() -> Vec<Posting> {
    let parties = [
        Party::Bucket(member_id(1), Bucket::Wallet),
        Party::Fund(region("330100")),
        Party::Credits(region("330200")),
        Party::Institution(institution()),
        Party::HospitalPart(InstitutionCode::parse("H33020000002").expect("a code")),
        Party::Cash,
    ];
    let pairs = parties.iter().zip(parties.iter().cycle().skip(1)).zip(1_i64..);
    let posting = |((from, to), number): ((&Party, &Party), i64)| Posting {
        from: from.clone(),
        to: to.clone(),
        amount: Money::fen(number * 1_000),
        from_after: (number % 2 == 0).then(|| Money::fen(number)),
        to_after: (number % 3 == 0).then(|| Money::fen(-number)),
    };
    pairs.map(posting).collect()
}

/// Those that came with later events stand in their records alone: what was written before does not change.
fn postings_of(event: &Event) -> Vec<Posting> {
    let later = match event {
        Event::QuotaSet { .. } => Party::Quota(binding_id(), Bucket::CurrentYear),
        Event::TransferSent { .. } => Party::Transfer(transfer().id),
        Event::Held { .. } => Party::Hold(settlement_id()),
        Event::YearClosed { .. } => Party::Interest(region("330100")),
        _ => return postings(),
    };
    let from = Party::Bucket(member_id(1), Bucket::CurrentYear);
    vec![Posting {
        from,
        to: later,
        amount: Money::fen(77),
        from_after: Some(Money::fen(78)),
        to_after: Some(Money::fen(79)),
    }]
}

fn trace() -> Trace {
    let rate = Rate::parse("0.65").expect("a rate");
    let step = |rule, subject, policy, inputs: &[_], rounded, outcome| Step {
        rule,
        subject,
        policy,
        inputs: inputs.iter().copied().collect(),
        rounded,
        outcome,
    };
    let rounded = |mode| Some(Rounded { of: Money::fen(94_001), rate, mode });
    let inputs = [(Input::InScope, Money::fen(94_001)), (Input::Row, Money::fen(3))];
    Trace {
        policy_set: SET,
        steps: vec![
            step(Rule::FundShare, Subject::Bill, 0, &inputs, rounded(Rounding::HalfUp), Outcome::Amount(Money::fen(7))),
            step(Rule::FirstSelfPay, Subject::Line(300), 1, &[], rounded(Rounding::Ceiling), Outcome::Yes),
            step(Rule::OwnDraw, Subject::Own, 2, &[], None, Outcome::No(Reason::SamePerson)),
            step(Rule::OwnerDraw, Subject::Binding(binding_id()), 3, &[], None, Outcome::Yes),
            step(Rule::Cash, Subject::Paper(1), 200, &[], None, Outcome::Amount(Money::fen(-5))),
        ],
    }
}

fn of_pair() -> Trace {
    let mut trace = Trace::under(SET);
    trace.judged(Rule::RelationAllowed, Subject::Pair, 1, &[(Input::Relation, Money::fen(6))], None);
    trace.amount(Rule::FirstSelfPayGiven, Subject::Bill, 0, &[], Money::fen(3));
    trace
}

fn used() -> Vec<(UseOf, YearUse)> {
    let of = UseOf { year: 2026, region: region("330100"), purpose: Purpose::Inpatient };
    vec![(of, YearUse { deductible: Money::fen(30_000), fund: Money::fen(51_200) })]
}

fn basis(content: BillContent) -> Basis {
    Basis {
        salt: [0xf1; 16],
        bill: Arc::new(Bill { total: Money::fen(100_000), content }),
        payers: vec![
            PayerFact { member: member_id(2), current: Money::fen(1), prior: Money::fen(2), cap_left: None },
            PayerFact {
                member: member_id(1),
                current: Money::fen(3),
                prior: Money::fen(4),
                cap_left: Some(Money::fen(5)),
            },
        ],
        excluded: excluded(),
        papers: vec![PaperFact {
            owner: member_id(3),
            user_card: "C-7".into(),
            phone: "13800000000".into(),
            signature_ref: "sig-9".into(),
        }],
        used: used(),
        trace: Arc::new(Wording::Full.tell(trace())),
    }
}

fn lines() -> BillContent {
    let line = |id: &str, category, class, first_self_pay_rate| Line {
        id: id.into(),
        item_code: "XJ01CRA".into(),
        item_name: "阿莫西林".into(),
        category,
        class,
        amount: Money::fen(4_200),
        over_limit: Money::fen(42),
        first_self_pay_rate,
    };
    let rate = Some(Rate::parse("0.1").expect("a rate"));
    BillContent::Lines(vec![
        line("1", Category::Drug, ListClass::B, rate),
        line("2", Category::Other, ListClass::C, None),
    ])
}

fn adjudicated() -> BillContent {
    BillContent::Adjudicated(Adjudicated {
        fund: Money::fen(51_200),
        hospital_part: Money::fen(10),
        deductible: Money::fen(30_000),
        first_self_pay: Money::fen(3_000),
        over_limit: Money::fen(2_000),
        full_self_pay: Money::fen(1_000),
        person_part: Money::fen(48_790),
    })
}

fn policy() -> StoredPolicy {
    let citation = |effective| StoredCitation {
        id: "hz-2024-12".into(),
        document: "杭医保〔2024〕12号".into(),
        article: "第三条".into(),
        effective,
        url: "https://example.invalid/12".into(),
        grade: Grade::Official,
        note: "原文".into(),
    };
    let value = |param, text: &str, end, effective| StoredValue {
        param,
        text: text.into(),
        start: day("2024-01-01"),
        end,
        region: region("330000"),
        grade: Grade::Guide,
        note: "".into(),
        citation: citation(effective),
    };
    StoredPolicy {
        region: region("330100"),
        start: day("2024-07-01"),
        end: Some(day("2026-12-31")),
        known_from: day("2024-06-15"),
        values: vec![
            value(Param::Modes, "DIRECT_DRAW", None, Some(day("2024-02-01"))),
            value(Param::Relations, "SPOUSE PARENT CHILD", Some(day("2027-12-31")), None),
        ],
    }
}

fn events() -> Vec<Event> {
    let policies = vec![[0xd1; 32]];
    let transfer = Transfer {
        id: TransferId::from_u128(0x0193_5b00_0003_7000_8000_0000_0000_00d1),
        owner: member_id(1),
        beneficiary: member_id(2),
        relation: Relation::Parent,
        relation_detail: "父".into(),
        amount: Money::fen(20_000),
    };
    let settled = Settled {
        id: settlement_id(),
        institution: institution(),
        patient: member_id(2),
        region: region("330100"),
        amounts: amounts(),
        contributions: contributions(),
        policies: policies.clone(),
        basis_digest: [0xb5; 32],
    };
    let credited = |kind, bucket| Event::Credited {
        after: account(1),
        bucket,
        amount: Money::fen(30_000),
        kind,
        note: "十一月".into(),
    };
    let released = |by| Event::BindingReleased {
        binding: binding_id(),
        owner: member_id(1),
        beneficiary: member_id(2),
        by,
        channel: Channel::AgencyWindow,
    };
    let held = settled.clone();
    let ended = |how| Event::HoldEnded {
        settlement: settlement_id(),
        how,
        returned: vec![(1, Money::fen(8_000)), (0, Money::fen(40_000))],
    };
    let (verified, sent) = (vec![[0xd2; 32]], self::transfer());
    vec![
        Event::CertificationRecorded { certification: certification() },
        Event::MemberCreated { member: member() },
        Event::InsuranceUpdated { member: member(), released: vec![binding_id()] },
        credited(CreditKind::Monthly, Bucket::CurrentYear),
        credited(CreditKind::Correction, Bucket::PriorYears),
        Event::Transferred {
            transfer,
            owner_after: account(1),
            beneficiary_after: account(2),
            policies: policies.clone(),
        },
        Event::BindingCreated { binding: binding(), policies },
        released(ReleasedBy::Owner),
        released(ReleasedBy::Beneficiary),
        Event::Settled(Box::new(settled)),
        Event::Refunded {
            settlement: settlement_id(),
            parts: parts(),
            returned: vec![(0, Money::fen(9)), (1, Money::fen(8))],
            place: 1,
        },
        Event::BindingVerified {
            binding: binding_id(),
            owner: member_id(1),
            beneficiary: member_id(2),
            evidence: vec!["FACE_CHECK".into()],
            missing: vec!["OFFICE_APPROVAL".into()],
            policies: verified.clone(),
        },
        Event::BindingsReordered { beneficiary: member_id(2), order: vec![binding_id(), BindingId::from_u128(7)] },
        Event::QuotaSet { quota: quota(), owner_after: account(1), policies: verified.clone() },
        Event::WalletOpened { after: account(2) },
        Event::TransferSent {
            transfer: sent.clone(),
            claim_before: Moment::from_micros(1_764_000_000_000_003),
            owner_after: account(1),
            policies: verified.clone(),
        },
        Event::TransferClaimed { transfer: sent.clone(), beneficiary_after: account(2), policies: verified.clone() },
        Event::TransferReturned { transfer: sent, owner_after: account(1) },
        Event::CardActivated {
            member: member(),
            channel: CardChannel::IssuingBank,
            evidence: vec!["HOLDER_ID".into()],
            policies: verified,
        },
        Event::JobDone { job: Job::ReturnUnclaimed, day: day("2026-01-09"), items: 300 },
        Event::Held { settled: Box::new(held), expires: Moment::from_micros(1_764_000_000_000_006) },
        Event::HoldConfirmed {
            settlement: settlement_id(),
            amounts: amounts(),
            contributions: contributions(),
            returned: vec![(1, Money::fen(600))],
        },
        ended(HoldEnd::Released),
        ended(HoldEnd::Expired),
        Event::Fenced { request: [0xf1; 16] },
        Event::RefundReversed {
            settlement: settlement_id(),
            place: 2,
            parts: parts(),
            taken: vec![(1, Money::fen(11)), (0, Money::fen(12))],
        },
        Event::SettlementReversed { settlement: settlement_id() },
        Event::YearClosed {
            after: account(1),
            end: YearEnd { year: 2024, current: Money::fen(8_001), prior: Money::fen(90_002) },
            interest: Money::fen(589),
            policies: vec![[0xd3; 32]],
        },
        Event::YearCloseStarted { close: YearClose { ended: None, after: 0, tally: Tally::default(), ..year_close() } },
        Event::YearCloseAdvanced { close: year_close() },
    ]
}

fn year_close() -> YearClose {
    YearClose {
        region: region("330100"),
        year: 2025,
        round: 2,
        started: Moment::from_micros(1_764_000_000_000_006),
        ended: Some(Moment::from_micros(1_764_000_000_000_007)),
        after: 300,
        until: 4_000,
        tally: Tally { closed: 130, without: 14, refused: 1, interest: Money::fen(70_700) },
    }
}

fn transfer() -> Transfer {
    Transfer {
        id: TransferId::from_u128(0x0193_5b00_0003_7000_8000_0000_0000_00d1),
        owner: member_id(1),
        beneficiary: member_id(2),
        relation: Relation::Sibling,
        relation_detail: "71".into(),
        amount: Money::fen(200_000),
    }
}

fn quota() -> Quota {
    Quota {
        binding: binding_id(),
        owner: member_id(1),
        beneficiary: member_id(2),
        year: 2026,
        current: Money::fen(3_000),
        prior: Money::fen(70_000),
        since: Some(Moment::from_micros(1_764_000_000_000_002)),
        ended: vec![YearEnd { year: 2025, current: Money::fen(321), prior: Money::fen(6_789) }],
    }
}

/// A new event stops here: give it a name, and a sample above.
fn event_name(event: &Event) -> &'static str {
    match event {
        Event::CertificationRecorded { .. } => "certification-recorded",
        Event::MemberCreated { .. } => "member-created",
        Event::InsuranceUpdated { .. } => "insurance-updated",
        Event::Credited { kind: CreditKind::Monthly, .. } => "credited-monthly",
        Event::Credited { kind: CreditKind::Correction, .. } => "credited-correction",
        Event::Transferred { .. } => "transferred",
        Event::BindingCreated { .. } => "binding-created",
        Event::BindingReleased { by: ReleasedBy::Owner, .. } => "binding-released-by-owner",
        Event::BindingReleased { by: ReleasedBy::Beneficiary, .. } => "binding-released-by-beneficiary",
        Event::Settled(_) => "settled",
        Event::Refunded { .. } => "refunded",
        Event::BindingVerified { .. } => "binding-verified",
        Event::BindingsReordered { .. } => "bindings-reordered",
        Event::QuotaSet { .. } => "quota-set",
        Event::WalletOpened { .. } => "wallet-opened",
        Event::TransferSent { .. } => "transfer-sent",
        Event::TransferClaimed { .. } => "transfer-claimed",
        Event::TransferReturned { .. } => "transfer-returned",
        Event::CardActivated { .. } => "card-activated",
        Event::JobDone { .. } => "job-done",
        Event::Held { .. } => "held",
        Event::HoldConfirmed { .. } => "hold-confirmed",
        Event::HoldEnded { how: HoldEnd::Released, .. } => "hold-released",
        Event::HoldEnded { how: HoldEnd::Expired, .. } => "hold-expired",
        Event::Fenced { .. } => "fenced",
        Event::RefundReversed { .. } => "refund-reversed",
        Event::SettlementReversed { .. } => "settlement-reversed",
        Event::YearClosed { .. } => "year-closed",
        Event::YearCloseStarted { .. } => "year-close-started",
        Event::YearCloseAdvanced { .. } => "year-close-advanced",
    }
}
const EVENT_NAMES: usize = 30;

/// A record of each event, encoded, as one that no rule minds: no balance below zero.
pub fn encoded_records() -> Vec<Vec<u8>> {
    let of = |event: Event| {
        let mut postings = postings_of(&event);
        for posting in &mut postings {
            posting.to_after = posting.to_after.map(|fen| Money::fen(fen.as_fen().abs()));
        }
        encode_record(&Record { postings, event }, &SET)
    };
    events().into_iter().map(of).collect()
}

pub fn entities() -> Vec<Entity> {
    let request = Request {
        scope: "H33010000001".into(),
        id: "H33010000001202611220930150001".into(),
        method: 7,
        fingerprint: [0xa1; 16],
        fields: vec![0, 127, 128, u32::MAX],
    };
    let person = Person {
        member: member_id(1),
        name: "欧阳修".into(),
        id_number: IdNumber::parse("11010519491231002X").expect("a number"),
        card_number: "A1".into(),
        personal_number: "".into(),
        computer_number: "B2".into(),
    };
    let mut waiting = family();
    waiting.ties[0].spends = Spends::Unverified;
    let pending = Life::Pending { missing: vec!["FACE_CHECK".into(), "OFFICE_APPROVAL".into()] };
    let release = Release { at: Moment::from_micros(1_764_000_000_000_001), requested: false };
    let released_from = Life::ReleasedFrom { release, from: day("2026-11-23") };
    let moved = SentTransfer {
        transfer: transfer(),
        commitment: "C-42".into(),
        from: vec![(Bucket::PriorYears, Money::fen(150_000)), (Bucket::CurrentYear, Money::fen(50_000))],
        year: 2026,
        sent_on: day("2026-11-22"),
        claim_before: Moment::from_micros(1_764_000_000_000_004),
        state: TransferState::Returned,
    };
    let slip = Slip {
        owner: member_id(1),
        relation: Relation::Child,
        first: day("2020-11-27"),
        last: day("2020-12-01"),
        uses: 3,
        bound: Some(Moment::from_micros(1_764_000_000_000_006)),
    };
    let standing = Standing {
        account: Some(account(1)),
        family: family(),
        years: used(),
        ..Standing::new(member(), "欧**".into())
    };
    let unverified = Standing { family: waiting, ..standing.clone() };
    let resolved = Moment::from_micros(1_764_000_000_000_005);
    let part = |bucket, fen, of_quota| MarkPart { bucket, year: 2025, amount: Money::fen(fen), of_quota };
    let mark = Mark {
        settlement: settlement_id(),
        expires: Moment::from_micros(1_764_000_000_000_006),
        parts: vec![part(Bucket::PriorYears, 700, false), part(Bucket::CurrentYear, 800, true)],
    };
    let holding = Standing { holds: vec![mark], ..standing.clone() };
    vec![
        Entity::Request(Arc::new(request)),
        Entity::Reference(member_id(1)),
        Entity::Person(Arc::new(person)),
        Entity::Standing(Arc::new(standing)),
        Entity::Wards(Arc::new(Wards {
            bindings: vec![Ward { binding: binding_id(), beneficiary: member_id(2), last_day: None }],
        })),
        Entity::Binding(Arc::new(binding())),
        Entity::Settlement(Arc::new(settlement())),
        Entity::Basis(Arc::new(Encoded::new(basis(lines())))),
        Entity::Basis(Arc::new(Encoded::new(basis(adjudicated())))),
        Entity::Policy(Arc::new(policy())),
        Entity::Certification(Arc::new(certification())),
        Entity::Decided(Arc::new(Decided { trace: Wording::Full.tell(trace()), policies: vec![[0xd1; 32]] })),
        Entity::Decided(Arc::new(Decided {
            trace: Wording::Full.tell(of_pair()),
            policies: vec![[0xd1; 32], [0xd2; 32]],
        })),
        Entity::AidUse(AidUse { on: Some(day("2026-11-22")), day: Money::fen(12_300), year: Money::fen(456_700) }),
        Entity::PolicySet(Arc::new(PolicySet {
            parts: vec![SetPart {
                name: "440300-shenzhen".into(),
                start: day("2023-10-01"),
                digest: [1, 2, 3, 4, 5, 6, 7, 8],
            }],
        })),
        Entity::Standing(Arc::new(unverified)),
        Entity::Binding(Arc::new(Binding { life: pending, ..binding() })),
        Entity::Binding(Arc::new(Binding { life: released_from, ..binding() })),
        Entity::Card(Arc::new(Card { member: member_id(1), active: false, issuing_bank: "ICBC".into() })),
        Entity::Wallet(Arc::new(Wallet {
            member: member_id(1),
            opened_at: Moment::from_micros(1_764_000_000_000_005),
        })),
        Entity::WalletDay(WalletDay { sent: 2, amount: Money::fen(300_000) }),
        Entity::Transfer(Arc::new(moved)),
        Entity::Quota(Arc::new(quota())),
        Entity::Slips(Arc::new(Slips { slips: vec![slip] })),
        Entity::JobDay(JobDay { job: Job::ReturnUnclaimed, done: day("2026-01-09") }),
        Entity::Standing(Arc::new(holding)),
        Entity::Settlement(Arc::new(held(HoldState::Open))),
        Entity::Settlement(Arc::new(held(HoldState::Confirmed { at: resolved, request: [0xf2; 16] }))),
        Entity::Settlement(Arc::new(held(HoldState::Released { at: resolved }))),
        Entity::Settlement(Arc::new(held(HoldState::Expired { at: resolved }))),
        Entity::YearClose(Arc::new(year_close())),
    ]
}

/// A new fact stops here: give it a name, and a sample above.
fn entity_name(entity: &Entity) -> &'static str {
    match entity {
        Entity::Request(_) => "request",
        Entity::Reference(_) => "reference",
        Entity::Person(_) => "person",
        Entity::Standing(standing) if standing.family.ties[0].spends == Spends::Unverified => "standing-unverified",
        Entity::Standing(standing) if !standing.holds.is_empty() => "standing-holding",
        Entity::Standing(_) => "standing",
        Entity::Wards(_) => "wards",
        Entity::Binding(binding) => match binding.life {
            Life::Released(_) | Life::InForce => "binding",
            Life::Pending { .. } => "binding-pending",
            Life::ReleasedFrom { .. } => "binding-released-from",
        },
        Entity::Settlement(settlement) => match settlement.hold.as_ref().map(|hold| hold.state) {
            None => "settlement",
            Some(HoldState::Open) => "settlement-held",
            Some(HoldState::Confirmed { .. }) => "settlement-hold-confirmed",
            Some(HoldState::Released { .. }) => "settlement-hold-released",
            Some(HoldState::Expired { .. }) => "settlement-hold-expired",
        },
        Entity::Basis(basis) => match basis.bill.content {
            BillContent::Lines(_) => "basis-of-lines",
            BillContent::Adjudicated(_) => "basis-adjudicated",
        },
        Entity::Policy(_) => "policy",
        Entity::Decided(decided) if decided.trace.steps.iter().any(|step| step.subject == Subject::Pair) => {
            "decided-of-a-pair"
        }
        Entity::Decided(_) => "decided",
        Entity::Card(_) => "card",
        Entity::Wallet(_) => "wallet",
        Entity::WalletDay(_) => "wallet-day",
        Entity::Transfer(_) => "transfer",
        Entity::Quota(_) => "quota",
        Entity::Slips(_) => "slips",
        Entity::JobDay(_) => "job-day",
        Entity::YearClose(_) => "year-close",
        Entity::Certification(_) => "certification",
        Entity::AidUse(_) => "aid-use",
        Entity::PolicySet(_) => "policy-set",
    }
}
const ENTITY_NAMES: usize = 31;
/// The policy set of the samples.
const SET: [u8; 32] = [0x5e; 32];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("two hex digits")).collect()
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/suite/samples/format-2.txt")
}

/// The samples as kept; `fresh` when they are being written anew.
fn kept(fresh: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    if std::env::var_os("GONGJI_WRITE_SAMPLES").is_some() {
        let text: String = fresh.iter().map(|(name, hex)| format!("{name} {hex}\n")).collect();
        std::fs::write(file(), text).expect("writes the samples");
    }
    let text = std::fs::read_to_string(file()).expect("the samples are committed");
    let line = |line: &str| line.split_once(' ').map(|(name, hex)| (name.to_owned(), hex.to_owned()));
    text.lines().map(|text| line(text).unwrap_or_else(|| panic!("a name and hex: {text}"))).collect()
}

#[test]
fn stored_bytes_stay_as_they_were() {
    let records = events().into_iter().map(|event| Record { postings: postings_of(&event), event });
    let records: BTreeMap<String, Record> =
        records.map(|record| (format!("record/{}", event_name(&record.event)), record)).collect();
    let entities: BTreeMap<String, Entity> =
        entities().into_iter().map(|entity| (format!("entity/{}", entity_name(&entity)), entity)).collect();
    assert_eq!((records.len(), entities.len()), (EVENT_NAMES, ENTITY_NAMES), "each name has its sample");

    let fresh = records.iter().map(|(name, record)| (name.clone(), hex(&encode_record(record, &SET))));
    let fresh: BTreeMap<_, _> =
        fresh.chain(entities.iter().map(|(name, entity)| (name.clone(), hex(&encode_entity(entity))))).collect();
    let kept = kept(&fresh);
    assert_eq!(kept.keys().collect::<Vec<_>>(), fresh.keys().collect::<Vec<_>>(), "a sample for each, none forgotten");
    for (name, hex) in &kept {
        assert_eq!(hex, &fresh[name], "{name} is written differently now");
    }
    for (name, record) in records {
        assert_eq!(decode_record(&bytes(&kept[&name])).as_ref(), Ok(&record), "{name}");
    }
    for (name, entity) in entities {
        assert_eq!(decode_entity(&bytes(&kept[&name])).as_ref(), Ok(&entity), "{name}");
    }
}

#[allow(clippy::large_enum_variant, reason = "a handful of samples")]
enum Sample {
    Record(Box<Record>),
    Entity(Entity),
}

/// Damage of any one byte, or a cut anywhere, is read as something else or refused; nothing panics, nothing runs away.
#[test]
fn damaged_bytes_never_panic() {
    let is_refused = |sample: &Sample, bytes: &[u8]| match sample {
        Sample::Record(_) => decode_record(bytes).is_err(),
        Sample::Entity(_) => decode_entity(bytes).is_err(),
    };
    let records =
        events().into_iter().map(|event| Sample::Record(Box::new(Record { postings: postings_of(&event), event })));
    for sample in records.chain(entities().into_iter().map(Sample::Entity)) {
        let good = match &sample {
            Sample::Record(record) => encode_record(record, &SET),
            Sample::Entity(entity) => encode_entity(entity),
        };
        assert!(!is_refused(&sample, &good));
        for place in 0..good.len() {
            assert!(is_refused(&sample, &good[..place]), "cut at {place}");
            for damage in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[place] = damage;
                is_refused(&sample, &bad);
            }
        }
    }
}
