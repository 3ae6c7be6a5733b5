//! A small family to try the service on: synthetic people with valid numbers. Loaded through the same commands as
//! everything else, each with a fixed request id, so a second start finds them instead of doubling them.

use jiff::civil::date;

use crate::domain::binding::{Caps, Evidence};
use crate::domain::filing::EITHER;
use crate::domain::identity::IdNumber;
use crate::domain::ids::{MemberId, RegionCode, RequestId};
use crate::domain::member::{Insurance, MemberRef, Person};
use crate::domain::money::Money;
use crate::domain::record::CreditKind;
use crate::domain::vocabulary::{Bucket, Channel, InsuranceState, Relation, Scheme};
use crate::ledger::accounts::CreditAccount;
use crate::ledger::bindings::{CreateBinding, FilingAsk};
use crate::ledger::members::CreateMember;
use crate::ledger::{Caller, Failure, Ledger};

/// Name, id number, card, region, scheme, tier, yuan of prior years and of the current year (none: no account).
type Row = (&'static str, &'static str, &'static str, &'static str, Scheme, &'static str, Option<(i64, i64)>);

const PEOPLE: &[Row] = &[
    // Shenzhen: a retired mother with an empty account, her daughter and her son.
    ("林秀英", "440305195304120021", "SZ-CARD-1001", "440300", Scheme::Employee, "1", Some((0, 0))),
    ("陈丽华", "440305197809150030", "SZ-CARD-1002", "440300", Scheme::Employee, "1", Some((260, 40))),
    ("陈志强", "440305198003210043", "SZ-CARD-1003", "440300", Scheme::Employee, "1", Some((420, 80))),
    ("陈小雨", "440305201206080116", "SZ-CARD-1004", "440300", Scheme::Resident, "", None),
    // Hangzhou: a couple and their son.
    ("王建国", "330106196510030013", "HZ-CARD-2001", "330100", Scheme::Employee, "", Some((4_000, 500))),
    ("李爱珍", "330106196702140022", "HZ-CARD-2002", "330100", Scheme::Employee, "", Some((100, 0))),
    ("王磊", "330106199207300010", "HZ-CARD-2003", "330100", Scheme::Employee, "", Some((800, 120))),
    // Hebei: a mother in the province's own pool, her daughter in Shijiazhuang.
    ("赵敏", "130102197005050015", "HE-CARD-3001", "139900", Scheme::Employee, "", Some((2_500, 200))),
    ("周倩", "130102199508170026", "HE-CARD-3002", "130100", Scheme::Resident, "", None),
    // Chengdu: a brother of the daughter's, in another province.
    ("赵勇", "510107196006060045", "CD-CARD-4001", "510100", Scheme::Employee, "", Some((1_500, 90))),
];

/// Owner, beneficiary (by id number), "the beneficiary is the owner's …".
const BINDINGS: &[(&str, &str, Relation)] = &[
    ("440305197809150030", "440305195304120021", Relation::Parent),
    ("440305198003210043", "440305195304120021", Relation::Parent),
    ("440305198003210043", "440305201206080116", Relation::Child),
    ("330106196510030013", "330106196702140022", Relation::Spouse),
    ("130102197005050015", "130102199508170026", Relation::Child),
];

/// Loads the family. A binding that the law of the server's day does not allow is left out, and said so.
pub async fn load(ledger: &Ledger) -> Result<(), Failure> {
    for (number, row) in PEOPLE.iter().enumerate() {
        create(ledger, number, row).await?;
    }
    for (number, (owner, beneficiary, relation)) in BINDINGS.iter().enumerate() {
        match bind(ledger, number, owner, beneficiary, *relation).await {
            Ok(()) => {}
            Err(Failure::Refused(reasons)) => {
                let reasons: Vec<&str> = reasons.iter().map(|reason| reason.name()).collect();
                tracing::info!(
                    number,
                    reasons = reasons.join(","),
                    "a demonstration binding is not allowed on this day"
                );
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

fn caller() -> Caller {
    Caller { scope: "demo".to_owned(), may_reveal: false }
}

fn request(name: &str, number: usize) -> Result<RequestId, Failure> {
    RequestId::parse(&format!("demo-{name}-{number}")).ok_or(Failure::Bug("a demonstration request id is malformed"))
}

fn id_number(text: &str) -> Result<IdNumber, Failure> {
    IdNumber::parse(text).map_err(|_| Failure::Bug("a demonstration id number is malformed"))
}

async fn create(ledger: &Ledger, number: usize, row: &Row) -> Result<(), Failure> {
    let (name, id, card, region, scheme, tier, money) = row;
    let region = RegionCode::parse(region).ok_or(Failure::Bug("a demonstration region is malformed"))?;
    let insurance = Insurance {
        scheme: *scheme,
        tier: (*tier).to_owned(),
        state: InsuranceState::Normal,
        region,
        has_account: money.is_some(),
        start: date(2008, 1, 1),
    };
    let id_number = id_number(id)?;
    // Past law can be tried with a clock set back; whoever was not born yet is left out.
    let today = ledger.now().civil_day();
    if id_number.birth_date() > today || insurance.start > today {
        return Ok(());
    }
    let person = Person {
        member: MemberId::from_u128(0),
        name: (*name).to_owned(),
        id_number: id_number.clone(),
        card_number: (*card).to_owned(),
        personal_number: String::new(),
        computer_number: String::new(),
    };
    let (request_id, issuing_bank) = (request("member", number)?, String::new());
    let command = CreateMember { caller: caller(), request_id, person, insurance, card_active: true, issuing_bank };
    ledger.run(&command).await?;
    let Some((prior, current)) = money else {
        return Ok(());
    };
    for (bucket, yuan) in [(Bucket::PriorYears, *prior), (Bucket::CurrentYear, *current)] {
        if yuan > 0 {
            let command = CreditAccount {
                caller: caller(),
                request_id: request(bucket.name(), number)?,
                member: MemberRef::IdNumber(id_number.clone()),
                bucket,
                amount: Money::fen(yuan * 100),
                kind: CreditKind::Monthly,
                note: "demo".to_owned(),
            };
            ledger.run(&command).await?;
        }
    }
    Ok(())
}

async fn bind(
    ledger: &Ledger,
    number: usize,
    owner: &str,
    beneficiary: &str,
    relation: Relation,
) -> Result<(), Failure> {
    let (owner, beneficiary) = (MemberRef::IdNumber(id_number(owner)?), MemberRef::IdNumber(id_number(beneficiary)?));
    let mut ask = FilingAsk {
        owner,
        beneficiary,
        relation,
        relation_detail: String::new(),
        channel: Channel::AgencyWindow,
        evidence: Vec::new(),
        grants: Vec::new(),
        start: None,
        last_day: None,
        caps: Caps::default(),
        priority: 0,
    };
    // Whatever the channel asks for on this day is handed in; of several the first.
    let missing = match ledger.check_binding(&ask).await {
        Ok(answer) => answer.decision.missing,
        // Somebody who was left out cannot be bound.
        Err(Failure::NobodyThere { .. }) => return Ok(()),
        Err(failure) => return Err(failure),
    };
    let first = |kinds: &String| kinds.split(EITHER).next().unwrap_or_default().to_owned();
    let evidence = missing.iter().map(|kinds| Evidence {
        kind: first(kinds),
        reference: "demo".to_owned(),
        digest: String::new(),
    });
    ask.evidence = evidence.collect();
    let command = CreateBinding { caller: caller(), request_id: request("binding", number)?, ask };
    ledger.run(&command).await.map(|_| ())
}
