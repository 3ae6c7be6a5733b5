//! A binding to be filed, two regions and a relation, or the text of a value.

use jiff::civil::Date;

use super::bill::names;
use super::{Outcome, person, region_of, word_or};
use crate::domain::account::Account;
use crate::domain::binding::Evidence;
use crate::domain::filing::{self, Filing};
use crate::domain::ids::RegionCode;
use crate::domain::member::Member;
use crate::domain::policy::{ChannelRule, Param, PolicyBook};
use crate::domain::reason::Reason;
use crate::domain::sharing;
use crate::domain::vocabulary::{Channel, Grant, Relation};
use crate::policy::error::Problems;
use crate::policy::reader::Table;
use crate::policy::value::name_of;

#[derive(Clone, Debug)]
pub(super) struct FilingCase {
    owner: Member,
    beneficiary: Member,
    relation: Relation,
    /// Left out: the first that the owner's region offers.
    channel: Option<Channel>,
    /// Left out: all that the channel asks for, of several the first.
    evidence: Option<Vec<String>>,
    members_now: usize,
    owners_now: usize,
    in_another_family: bool,
    /// Of the person bound; left out: an adult.
    age: u32,
    card_active: bool,
    reasons: Vec<String>,
    missing: Option<Vec<String>>,
    pending: Option<Vec<String>>,
    grants: Option<Vec<String>>,
    /// What the owner chooses of the channel's grants; left out: all.
    chosen: Vec<Grant>,
    /// The day from which the binding holds; left out: not looked at.
    begins: Option<Date>,
}

pub(super) fn filing(table: &mut Table<'_>, problems: &mut Problems) -> Option<FilingCase> {
    let mut party = |key, number| {
        let mut table = table.need(key, problems).and_then(|node| node.table(problems))?;
        let read = person(&mut table, number, problems);
        table.finish(problems);
        read
    };
    let (owner, beneficiary) = (party("owner", 1), party("beneficiary", 2));
    let relation = word_or(table, "relation", Relation::Child, problems);
    let channel = table.get("channel").map(|node| name_of(&node, problems));
    let mut count = |key| table.get(key).map_or(Some(0), |node| node.integer(problems));
    let (members_now, owners_now) = (count("members_now"), count("owners_now"));
    let in_another_family = table.get("in_another_family").and_then(|node| node.flag(problems)).unwrap_or(false);
    let age = table.get("age").and_then(|node| node.integer(problems)).unwrap_or(40);
    let card_active = table.get("card_active").and_then(|node| node.flag(problems)).unwrap_or(true);
    let (evidence, pending) = (names(table, "evidence", problems), names(table, "pending", problems));
    let (missing, grants) = (texts(table, "missing", problems), names(table, "grants", problems));
    let chosen = table.get("chosen").map_or(Some(Vec::new()), |node| super::super::value::names(&node, problems));
    let begins = table.get("begins").map(|node| node.day(problems));
    let reasons = expected_reasons(table, problems);
    Some(FilingCase {
        owner: owner?,
        beneficiary: beneficiary?,
        relation: relation?,
        channel: channel.map_or(Some(None), |channel| channel.map(Some))?,
        evidence,
        members_now: usize::try_from(members_now?).ok()?,
        owners_now: usize::try_from(owners_now?).ok()?,
        in_another_family,
        age: u32::try_from(age).ok()?,
        card_active,
        reasons: reasons?,
        missing,
        pending,
        grants,
        chosen: chosen?,
        begins: begins.map_or(Some(None), |day| day.map(Some))?,
    })
}

/// What is missing may be a choice of several, in one text.
fn texts(table: &mut Table<'_>, key: &'static str, problems: &mut Problems) -> Option<Vec<String>> {
    let node = table.get(key)?;
    let items = node.items(problems)?;
    items.iter().map(|item| item.filled(problems).map(str::to_owned)).collect()
}

/// `expect = []` is a yes.
fn expected_reasons(table: &mut Table<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let node = table.need("expect", problems)?;
    let reasons = super::super::value::codes(&node, problems)?;
    for reason in reasons.iter().filter(|text| Reason::ALL.iter().all(|reason| reason.name() != *text)) {
        node.refuse(problems, format!("{reason:?} is no reason of this service"));
    }
    Some(reasons)
}

fn verdict(reasons: &[String]) -> String {
    if reasons.is_empty() { "yes".to_owned() } else { format!("no {}", reasons.join(",")) }
}

fn named(reasons: &[Reason]) -> Vec<String> {
    reasons.iter().map(|reason| reason.name().to_owned()).collect()
}

const NO_POLICY: &str = "no policy of that region and day";

impl FilingCase {
    pub(super) fn regions(&self) -> Vec<RegionCode> {
        vec![self.owner.insurance.region, self.beneficiary.insurance.region]
    }

    pub(super) fn run(&self, book: &PolicyBook, on: Date) -> Outcome {
        let mut expected = verdict(&self.reasons);
        let policy_of = |member: &Member| book.policy(member.insurance.region, on);
        let (Some(of_owner), Some(of_beneficiary)) = (policy_of(&self.owner), policy_of(&self.beneficiary)) else {
            return Outcome { expected, found: NO_POLICY.to_owned() };
        };
        let channel = self.channel.or_else(|| of_owner.rules.channels.first().map(|rule| rule.channel));
        let channel = channel.unwrap_or(Channel::CityApp);
        let all = |rule: &ChannelRule| rule.evidence.iter().chain(rule.evidence_any.first()).cloned().collect();
        let asked = of_owner.channel(channel).map(all).unwrap_or_default();
        let evidence = self.evidence.clone().unwrap_or(asked).into_iter();
        let evidence: Vec<Evidence> =
            evidence.map(|kind| Evidence { kind, reference: "r".to_owned(), digest: String::new() }).collect();
        let account = Account::opened(self.owner.id, on);
        let filing = Filing {
            owner: &self.owner,
            owner_account: self.owner.insurance.has_account.then_some(&account),
            beneficiary: &self.beneficiary,
            relation: self.relation,
            relation_detail: "",
            channel,
            evidence: &evidence,
            chosen: &self.chosen,
            owners_now: self.owners_now,
            members_now: self.members_now,
            owners_near: self.owners_now,
            members_near: self.members_now,
            in_another_family: self.in_another_family,
            in_another_near: self.in_another_family,
            already_bound: false,
            ties_max: usize::MAX,
            owner_card_active: self.card_active,
            beneficiary_age: Some(self.age),
            today: on,
        };
        let decision =
            filing::decide_filing(&filing, [of_owner, of_beneficiary], [of_owner, of_beneficiary], &book.regions, on);
        let mut found = verdict(&named(&decision.reasons));
        if let Some(missing) = &self.missing {
            expected.push_str(&format!(" missing={missing:?}"));
            found.push_str(&format!(" missing={:?}", decision.missing));
        }
        if let Some(pending) = &self.pending {
            expected.push_str(&format!(" pending={pending:?}"));
            found.push_str(&format!(" pending={:?}", decision.pending));
        }
        if let Some(begins) = self.begins {
            expected.push_str(&format!(" begins={begins}"));
            found.push_str(&format!(" begins={}", decision.start));
        }
        if let Some(grants) = &self.grants {
            expected.push_str(&format!(" grants={grants:?}"));
            let given: Vec<&str> = decision.grants.iter().map(|grant| grant.name()).collect();
            found.push_str(&format!(" grants={given:?}"));
        }
        Outcome { expected, found }
    }
}

#[derive(Clone, Debug)]
pub(super) struct SharingCase {
    owner: RegionCode,
    beneficiary: RegionCode,
    relation: Relation,
    reasons: Vec<String>,
    /// Some mode that must be among those open.
    mode: Option<String>,
    /// Some mode that must not be among those open.
    not_mode: Option<String>,
}

pub(super) fn sharing(table: &mut Table<'_>, problems: &mut Problems) -> Option<SharingCase> {
    let (owner, beneficiary) = (region_of(table, "owner", problems), region_of(table, "beneficiary", problems));
    let relation = word_or(table, "relation", Relation::Child, problems);
    let mut mode = |key| table.get(key).and_then(|node| node.filled(problems)).map(str::to_owned);
    let (mode, not_mode) = (mode("mode"), mode("not_mode"));
    let reasons = expected_reasons(table, problems);
    Some(SharingCase {
        owner: owner?,
        beneficiary: beneficiary?,
        relation: relation?,
        reasons: reasons?,
        mode,
        not_mode,
    })
}

impl SharingCase {
    pub(super) fn regions(&self) -> Vec<RegionCode> {
        vec![self.owner, self.beneficiary]
    }

    pub(super) fn run(&self, book: &PolicyBook, on: Date) -> Outcome {
        let mut expected = verdict(&self.reasons);
        let (Some(owner), Some(beneficiary)) = (book.policy(self.owner, on), book.policy(self.beneficiary, on)) else {
            return Outcome { expected, found: NO_POLICY.to_owned() };
        };
        let decision = sharing::check(owner, beneficiary, &book.regions, self.relation, on);
        let mut found = verdict(&named(&decision.reasons));
        let open = |wanted: &str| decision.modes.iter().any(|mode| mode.name() == wanted);
        for (wanted, is_wanted) in [(&self.mode, true), (&self.not_mode, false)] {
            if let Some(mode) = wanted {
                expected.push_str(&format!(" {mode}={is_wanted}"));
                found.push_str(&format!(" {mode}={}", open(mode)));
            }
        }
        Outcome { expected, found }
    }
}

#[derive(Clone, Debug)]
pub(super) struct ReadsCase {
    pub(super) region: RegionCode,
    text: String,
    /// The citation that must stand beside the value, where the text alone is not what changed.
    source: Option<String>,
}

pub(super) fn reads(table: &mut Table<'_>, problems: &mut Problems) -> Option<ReadsCase> {
    let region = region_of(table, "region", problems);
    let text = table.need("text", problems).and_then(|node| node.text(problems).map(str::to_owned));
    let source = table.get("source").and_then(|node| node.filled(problems)).map(str::to_owned);
    Some(ReadsCase { region: region?, text: text?, source })
}

impl ReadsCase {
    pub(super) fn run(&self, book: &PolicyBook, on: Date, rules: &[String]) -> Outcome {
        let found = book.policy(self.region, on).map_or_else(
            || vec![NO_POLICY.to_owned()],
            |policy| {
                let params = rules.iter().filter_map(|rule| Param::parse(rule));
                let said = |param: Param| {
                    let value = policy.value(param);
                    let source = self.source.as_ref().map(|_| format!(" by {}", value.citation.id));
                    format!("{}{}", value.text, source.unwrap_or_default())
                };
                params.map(said).collect()
            },
        );
        let source = self.source.as_ref().map(|source| format!(" by {source}"));
        Outcome { expected: format!("{}{}", self.text, source.unwrap_or_default()), found: found.join(" / ") }
    }
}
