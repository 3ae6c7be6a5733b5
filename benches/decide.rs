//! How dear a decision is: `settlement::decide` for a bill of five lines and three relatives, beside a yardstick in the
//! same run, the SHA-256 of one KiB. Prints medians of rounds and their ratio; asserts nothing about speed.
//!
//! `cargo bench --bench decide`

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark reads the clock and prints")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use gongji::domain::account::Account;
use gongji::domain::bill::{Bill, BillContent, ExternalRefs, Line, Visit};
use gongji::domain::binding::{AidUse, Caps, Spends, Tie};
use gongji::domain::draw::{Owner, Patient};
use gongji::domain::ids::{BindingId, MemberId, RegionCode};
use gongji::domain::member::{Insurance, Member};
use gongji::domain::money::Money;
use gongji::domain::settlement::{self, Case};
use gongji::domain::vocabulary::{
    Category, InstitutionKind, InsuranceState, ListClass, Purpose, Relation, Scheme, Sex,
};
use gongji::policy::{self, PolicyFiles};
use jiff::civil::date;
use sha2::{Digest, Sha256};

const ROUNDS: usize = 15;
const CALLS: u32 = 20_000;

fn main() {
    let book = policy::load(&PolicyFiles::embedded()).expect("the built-in policies load");
    let region = RegionCode::parse("420100").expect("a code");
    let today = date(2026, 6, 1);
    let policy = book.policy(region, today).expect("a policy");
    let member = |number: u128| Member {
        id: MemberId::from_u128(number),
        sex: Sex::Female,
        insurance: Insurance {
            scheme: Scheme::Employee,
            tier: String::new(),
            state: InsuranceState::Normal,
            region,
            has_account: true,
            start: date(2008, 1, 1),
        },
    };
    let account = |number: u128, fen: i64| Account {
        prior: Money::fen(fen),
        current: Money::fen(fen / 4),
        ..Account::opened(MemberId::from_u128(number), today)
    };
    let members: Vec<Member> = (0..4).map(member).collect();
    let accounts: Vec<Account> =
        (0..4).map(|number| account(number, 2_000 * i64::try_from(number).unwrap_or(0))).collect();
    let tie = |number: u128| Tie {
        binding: BindingId::from_u128(number),
        owner: MemberId::from_u128(number),
        relation: Relation::Parent,
        spends: Spends::Yes,
        start: date(2025, 1, 1),
        last_day: None,
        caps: Caps::default(),
        used_on: None,
        used_day: Money::ZERO,
        used_year: Money::ZERO,
        priority: 0,
        filed: 1,
    };
    let ties: Vec<Tie> = (1..4).map(tie).collect();
    let line = |number: i64| Line {
        id: number.to_string(),
        item_code: "XA".to_owned(),
        item_name: String::new(),
        category: Category::Drug,
        class: if number % 2 == 0 { ListClass::A } else { ListClass::B },
        amount: Money::fen(8_000 + number),
        over_limit: Money::ZERO,
        first_self_pay_rate: None,
    };
    let lines: Vec<Line> = (0..5).map(line).collect();
    let bill = Bill { total: lines.iter().map(|line| line.amount).sum(), content: BillContent::Lines(lines) };
    let visit = Visit {
        institution_kind: InstitutionKind::Level2,
        care_region: region,
        purpose: Purpose::Outpatient,
        date: today,
        external: ExternalRefs::default(),
    };
    let decide = || {
        let owners = ties.iter().enumerate().map(|(place, tie)| Owner {
            tie,
            paper: None,
            slip: None,
            member: &members[place + 1],
            account: Some(&accounts[place + 1]),
            quota: None,
            policy,
            policy_index: 0,
            aid: AidUse::default(),
        });
        let case = Case {
            today,
            visit: &visit,
            bill: &bill,
            patient: Patient { member: &members[0], account: Some(&accounts[0]) },
            policy,
            used: &[],
            owners: owners.collect(),
            regions: &book.regions,
        };
        black_box(settlement::decide(black_box(&case)));
    };
    let block = [7_u8; 1024];
    let digest = || {
        black_box(Sha256::digest(black_box(block)));
    };
    let (mut deciding, mut digesting) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        deciding.push(time(decide));
        digesting.push(time(digest));
    }
    let (decision, yardstick) = (median(deciding), median(digesting));
    let ratio = decision.as_nanos() * 100 / yardstick.as_nanos().max(1);
    println!(
        "decide: {} ns; SHA-256 of 1 KiB: {} ns; ratio {}.{:02}",
        decision.as_nanos(),
        yardstick.as_nanos(),
        ratio / 100,
        ratio % 100
    );
}

/// The time of one call, over many.
fn time(call: impl Fn()) -> Duration {
    let began = Instant::now();
    (0..CALLS).for_each(|_| call());
    began.elapsed() / CALLS
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
