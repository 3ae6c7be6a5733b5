//! A bill with the patient's account and the owners': who pays what.

use std::sync::Arc;

use jiff::civil::Date;

use super::{Outcome, person};
use crate::domain::account::Account;
use crate::domain::bill::{Adjudicated, Bill, BillContent, ExternalRefs, Line, Visit};
use crate::domain::binding::{AidUse, Caps, Spends, Tie};
use crate::domain::draw::{Owner, Patient};
use crate::domain::ids::{BindingId, RegionCode};
use crate::domain::member::Member;
use crate::domain::money::Money;
use crate::domain::policy::{Policy, PolicyBook};
use crate::domain::settlement::{self, Case};
use crate::domain::vocabulary::{InstitutionKind, Purpose, Relation};
use crate::domain::year_use::{UseOf, YearUse};
use crate::policy::error::Problems;
use crate::policy::reader::{Node, Table};
use crate::policy::value::{amount, codes, name_of, rate};

#[derive(Clone, Debug)]
pub(super) struct BillCase {
    patient: Member,
    account: Money3,
    /// For care of this kind; none named: of the visit's.
    used: (Option<Purpose>, YearUse),
    owners: Vec<OwnerOf>,
    institution_kind: InstitutionKind,
    purpose: Purpose,
    bill: Bill,
    expect: Expect,
}

/// Current year, prior years, wallet.
#[derive(Clone, Copy, Debug)]
struct Money3(Money, Money, Money);

#[derive(Clone, Debug)]
struct OwnerOf {
    member: Member,
    account: Money3,
    relation: Relation,
    priority: u32,
    spends: Spends,
    used_today: Money,
    used_this_year: Money,
}

#[derive(Clone, Debug)]
struct Expect {
    amounts: [Money; 4],
    over_limit: Option<Money>,
    deductible: Option<Money>,
    owners: Vec<i64>,
    excluded: Vec<String>,
}

const AMOUNTS: [&str; 4] = ["fund_fen", "own_account_fen", "mutual_aid_fen", "cash_fen"];

fn fen(table: &mut Table<'_>, key: &'static str, problems: &mut Problems) -> Option<Money> {
    table.need(key, problems).and_then(|node| amount(&node, problems))
}

fn fen_or_zero(table: &mut Table<'_>, key: &'static str, problems: &mut Problems) -> Option<Money> {
    table.get(key).map_or(Some(Money::ZERO), |node| amount(&node, problems))
}

fn account(table: &mut Table<'_>, problems: &mut Problems) -> Option<Money3> {
    let (current, prior) = (fen(table, "current_fen", problems), fen(table, "prior_fen", problems));
    let wallet = fen_or_zero(table, "wallet_fen", problems);
    Some(Money3(current?, prior?, wallet?))
}

/// Reads the keys of a `case` beside those that all kinds have.
pub(super) fn read(table: &mut Table<'_>, problems: &mut Problems) -> Option<BillCase> {
    let patient = table.need("patient", problems).and_then(|node| {
        let mut table = node.table(problems)?;
        let read = person(&mut table, 0, problems).zip(account(&mut table, problems));
        table.finish(problems);
        read
    });
    let used = table.get("used").map_or(Some((None, YearUse::default())), |node| {
        let mut table = node.table(problems)?;
        let (deductible, fund) =
            (fen_or_zero(&mut table, "deductible_fen", problems), fen_or_zero(&mut table, "fund_fen", problems));
        let purpose = table.get("purpose").map(|node| name_of(&node, problems));
        table.finish(problems);
        if let Some(None) = purpose {
            return None;
        }
        Some((purpose.flatten(), YearUse { deductible: deductible?, fund: fund? }))
    });
    let owners = table.need("owners", problems).and_then(|node| {
        let nodes = node.items(problems)?;
        let read: Vec<_> = nodes.iter().enumerate().filter_map(|(place, node)| owner(place, node, problems)).collect();
        (read.len() == nodes.len()).then_some(read)
    });
    let visit = table.need("visit", problems).and_then(|node| {
        let mut table = node.table(problems)?;
        let kind = table.need("institution_kind", problems).and_then(|node| name_of(&node, problems));
        let purpose = table.need("purpose", problems).and_then(|node| name_of(&node, problems));
        table.finish(problems);
        kind.zip(purpose)
    });
    let bill = bill(table, problems);
    let expect = table.need("expect", problems).and_then(|node| expect(&node, problems));
    let ((patient, account), (institution_kind, purpose)) = (patient?, visit?);
    let (used, owners, bill, expect) = (used?, owners?, bill?, expect?);
    Some(BillCase { patient, account, used, owners, institution_kind, purpose, bill, expect })
}

fn owner(place: usize, node: &Node<'_>, problems: &mut Problems) -> Option<OwnerOf> {
    let mut table = node.table(problems)?;
    let member = person(&mut table, place as u128 + 1, problems);
    let account = account(&mut table, problems);
    let relation = table.need("relation", problems).and_then(|node| name_of(&node, problems));
    let priority = table.get("priority").map_or(Some(0), |node| node.integer(problems));
    // `use = "CARE"` or `"PREMIUMS"`: what the owner chose, where the region lets him.
    let spends = match table.get("use") {
        None => Some(Spends::Yes),
        Some(node) => match node.text(problems) {
            Some("CARE") => Some(Spends::OnCare),
            Some("PREMIUMS") => Some(Spends::OnPremiums),
            Some(_) | None => {
                node.refuse(problems, "must be CARE or PREMIUMS");
                None
            }
        },
    };
    let used_today = fen_or_zero(&mut table, "used_today_fen", problems);
    let used_this_year = fen_or_zero(&mut table, "used_this_year_fen", problems);
    table.finish(problems);
    Some(OwnerOf {
        member: member?,
        account: account?,
        relation: relation?,
        priority: u32::try_from(priority?).ok()?,
        spends: spends?,
        used_today: used_today?,
        used_this_year: used_this_year?,
    })
}

fn bill(table: &mut Table<'_>, problems: &mut Problems) -> Option<Bill> {
    let Some(lines) = table.get("lines") else {
        let node = table.need("adjudicated", problems)?;
        let mut parts = node.table(problems)?;
        let total = fen(&mut parts, "total_fen", problems);
        let mut part = |key| fen(&mut parts, key, problems);
        let (fund, hospital, deductible) = (part("fund_fen"), part("hospital_part_fen"), part("deductible_fen"));
        let (first, over, full) = (part("first_self_pay_fen"), part("over_limit_fen"), part("full_self_pay_fen"));
        let person = part("person_part_fen");
        parts.finish(problems);
        let content = Adjudicated {
            fund: fund?,
            hospital_part: hospital?,
            deductible: deductible?,
            first_self_pay: first?,
            over_limit: over?,
            full_self_pay: full?,
            person_part: person?,
        };
        return Some(Bill { total: total?, content: BillContent::Adjudicated(content) });
    };
    let nodes = lines.items(problems)?;
    let lines: Vec<Line> = nodes.iter().enumerate().filter_map(|(place, node)| line(place, node, problems)).collect();
    if lines.len() < nodes.len() {
        return None;
    }
    Some(Bill { total: lines.iter().map(|line| line.amount).sum(), content: BillContent::Lines(lines) })
}

fn line(place: usize, node: &Node<'_>, problems: &mut Problems) -> Option<Line> {
    let mut table = node.table(problems)?;
    let category = table.need("category", problems).and_then(|node| name_of(&node, problems));
    let class = table.need("list_class", problems).and_then(|node| name_of(&node, problems));
    let amount = fen(&mut table, "amount_fen", problems);
    let over_limit = fen_or_zero(&mut table, "over_limit_fen", problems);
    let first = table.get("first_self_pay_rate").map(|node| rate(&node, problems));
    let item_code = table.get("item_code").and_then(|node| node.filled(problems)).unwrap_or("X").to_owned();
    table.finish(problems);
    Some(Line {
        id: format!("L{place}"),
        item_code,
        item_name: String::new(),
        category: category?,
        class: class?,
        amount: amount?,
        over_limit: over_limit?,
        first_self_pay_rate: first.map_or(Some(None), |rate| rate.map(Some))?,
    })
}

fn expect(node: &Node<'_>, problems: &mut Problems) -> Option<Expect> {
    let mut table = node.table(problems)?;
    let amounts = AMOUNTS.map(|key| fen(&mut table, key, problems));
    let over_limit = table.get("over_limit_fen").map(|node| amount(&node, problems));
    let deductible = table.get("deductible_fen").map(|node| amount(&node, problems));
    let owners = table.need("owners_fen", problems).and_then(|node| {
        let nodes = node.items(problems)?;
        Some(nodes.iter().filter_map(|node| node.integer(problems)).collect::<Vec<_>>())
    });
    let excluded = table.need("excluded", problems).and_then(|node| codes_repeated(&node, problems));
    table.finish(problems);
    let [fund, own, aid, cash] = amounts;
    Some(Expect {
        amounts: [fund?, own?, aid?, cash?],
        over_limit: over_limit.flatten(),
        deductible: deductible.flatten(),
        owners: owners?,
        excluded: excluded?,
    })
}

/// Reasons, which two owners may share.
fn codes_repeated(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let nodes = node.items(problems)?;
    Some(nodes.iter().filter_map(|node| node.filled(problems).map(str::to_owned)).collect())
}

/// Names of a closed list or of evidence, each once.
pub(super) fn names(table: &mut Table<'_>, key: &'static str, problems: &mut Problems) -> Option<Vec<String>> {
    table.get(key).and_then(|node| codes(&node, problems))
}

impl BillCase {
    pub(super) fn regions(&self) -> Vec<RegionCode> {
        let owners = self.owners.iter().map(|owner| owner.member.insurance.region);
        owners.chain([self.patient.insurance.region]).collect()
    }

    pub(super) fn run(&self, book: &PolicyBook, on: Date) -> Outcome {
        let policy_of = |region: RegionCode| book.policy(region, on).cloned();
        let policies: Option<Vec<Arc<Policy>>> = std::iter::once(&self.patient)
            .chain(self.owners.iter().map(|owner| &owner.member))
            .map(|member| policy_of(member.insurance.region))
            .collect();
        let expected = self.expected();
        let Some(policies) = policies else {
            return Outcome { expected, found: "no policy of that region and day".to_owned() };
        };
        let visit = Visit {
            institution_kind: self.institution_kind,
            care_region: self.patient.insurance.region,
            purpose: self.purpose,
            date: on,
            external: ExternalRefs::default(),
        };
        let opened = |member: &Member, money: Money3| Account {
            current: money.0,
            prior: money.1,
            wallet: money.2,
            ..Account::opened(member.id, on)
        };
        let ties: Vec<Tie> = self.owners.iter().enumerate().map(|(place, owner)| tie(place, owner, on)).collect();
        let accounts: Vec<Account> = self.owners.iter().map(|owner| opened(&owner.member, owner.account)).collect();
        let owners = self.owners.iter().enumerate().map(|(place, owner)| Owner {
            tie: &ties[place],
            paper: None,
            slip: None,
            quota: None,
            member: &owner.member,
            account: owner.member.insurance.has_account.then_some(&accounts[place]),
            policy: &policies[place + 1],
            policy_index: 0,
            aid: AidUse { on: Some(on), day: owner.used_today, year: owner.used_this_year },
        });
        let own = opened(&self.patient, self.account);
        let purpose = self.used.0.unwrap_or(self.purpose);
        let used = [(UseOf { year: on.year(), region: self.patient.insurance.region, purpose }, self.used.1)];
        let decision = settlement::decide(&Case {
            today: on,
            visit: &visit,
            bill: &self.bill,
            patient: Patient { member: &self.patient, account: self.patient.insurance.has_account.then_some(&own) },
            policy: &policies[0],
            used: &used,
            owners: owners.collect(),
            regions: &book.regions,
        });
        let split = &decision.amounts.split;
        let amounts = &decision.amounts;
        let owners = self.owners.iter().map(|owner| {
            let paid = decision.contributions.iter().filter(|paid| paid.payer == owner.member.id && !paid.is_own());
            paid.map(|paid| paid.amount).sum::<Money>().as_fen()
        });
        let excluded = self.owners.iter().filter_map(|owner| {
            let found = decision.excluded.iter().find(|excluded| excluded.payer == owner.member.id);
            found.map(|excluded| excluded.reason.name().to_owned())
        });
        let found = Expect {
            amounts: [split.fund, amounts.own_account, amounts.mutual_aid, amounts.cash],
            over_limit: self.expect.over_limit.map(|_| split.over_limit),
            deductible: self.expect.deductible.map(|_| split.deductible),
            owners: owners.collect(),
            excluded: excluded.collect(),
        };
        Outcome { expected, found: found.text() }
    }

    fn expected(&self) -> String {
        self.expect.text()
    }
}

fn tie(place: usize, owner: &OwnerOf, on: Date) -> Tie {
    Tie {
        binding: BindingId::from_u128(place as u128 + 1),
        owner: owner.member.id,
        relation: owner.relation,
        spends: owner.spends,
        start: on,
        last_day: None,
        caps: Caps::default(),
        used_on: None,
        used_day: Money::ZERO,
        used_year: Money::ZERO,
        priority: owner.priority,
        filed: place as u64 + 1,
    }
}

impl Expect {
    fn text(&self) -> String {
        let mut words: Vec<String> =
            AMOUNTS.iter().zip(self.amounts).map(|(name, amount)| format!("{name}={amount}")).collect();
        words.extend(self.over_limit.map(|amount| format!("over_limit_fen={amount}")));
        words.extend(self.deductible.map(|amount| format!("deductible_fen={amount}")));
        words.push(format!("owners={:?}", self.owners));
        words.push(format!("excluded={:?}", self.excluded));
        words.join(" ")
    }
}
