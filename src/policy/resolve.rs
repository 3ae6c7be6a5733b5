//! Lays a folder's entries over those of the folders it extends, and cuts the result into revisions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;
use sha2::{Digest, Sha256};

use super::error::Problems;
use super::parse::{Entry, FIRST_DAY, Given, Layer, NATIONAL};
use crate::domain::ids::RegionCode;
use crate::domain::money::{Money, Rate, Rounding};
use crate::domain::policy::{Citation, Floor, Param, Policy, PolicyValue, Revision, Rules, SetPart};
use crate::domain::vocabulary::{OwnAccountOrder, OwnerOrder, Purpose, Scope};

/// A value during the time in which it really holds in one region: what its file says, cut by what overrides it.
#[derive(Clone)]
struct Segment {
    start: Date,
    end: Option<Date>,
    entry: Arc<Entry>,
}

/// The revisions of every folder, made once and shared by all regions that follow it.
pub(super) fn all(
    layers: &BTreeMap<String, Layer>,
    folders: &BTreeSet<&str>,
    problems: &mut Problems,
) -> BTreeMap<String, Vec<Template>> {
    check_extends(layers, folders, problems);
    if !problems.is_empty() {
        return BTreeMap::new();
    }
    let all: BTreeMap<_, _> = layers.keys().map(|folder| (folder.clone(), revisions(folder, layers))).collect();
    for (folder, templates) in &all {
        own_first(folder, templates, problems);
    }
    all
}

/// Nobody pays for others what he may not pay for himself: else a relative's account is drawn while the patient's own, which the
/// law takes first, is left untouched. The resident premium is not for those who have an account.
fn own_first(folder: &str, templates: &[Template], problems: &mut Problems) {
    for template in templates {
        let Rules { own_purposes, relative_purposes, .. } = &*template.policy.rules;
        for purpose in relative_purposes {
            if *purpose != Purpose::ResidentPremium && !own_purposes.contains(purpose) {
                let (name, start) = (purpose.name(), template.policy.revision.start);
                let problem = format!("names {name}, which own_purposes does not on {start}");
                problems.add(&format!("{folder}/policy.toml"), 0, "relative_purposes", problem);
            }
        }
    }
}

/// Every chain ends at the national folder. A folder that could not be read has been reported by itself.
fn check_extends(layers: &BTreeMap<String, Layer>, folders: &BTreeSet<&str>, problems: &mut Problems) {
    if !folders.contains(NATIONAL) {
        problems.add("national/policy.toml", 0, "", "is missing");
    }
    for layer in layers.values() {
        let mut seen = BTreeSet::from([layer.folder.as_str()]);
        let mut at = layer;
        while let Some((parent, line)) = &at.extends {
            if !seen.insert(parent) {
                problems.add(&at.file, *line, "extends", format!("{parent:?} leads back to {:?}", at.folder));
                break;
            }
            if !folders.contains(parent.as_str()) {
                problems.add(&at.file, *line, "extends", format!("{parent:?} is not a folder with a policy.toml"));
            }
            let Some(next) = layers.get(parent) else { break };
            at = next;
        }
    }
}

/// The life of one key: the folder's own entries, and its parent's wherever there is none or it hands back.
fn timeline(param: Param, folder: &str, layers: &BTreeMap<String, Layer>) -> Vec<Segment> {
    let Some(layer) = layers.get(folder) else { return Vec::new() };
    let below = layer.extends.as_ref().map(|(parent, _)| timeline(param, parent, layers)).unwrap_or_default();
    let own = layer.entries.get(&param).map(Vec::as_slice).unwrap_or_default();
    let mut segments = Vec::new();
    let mut free = Some(FIRST_DAY);
    for entry in own.iter().filter(|entry| entry.given.is_some()) {
        if let Some(from) = free {
            segments.extend(below.iter().filter_map(|segment| clip(segment, from, Some(entry.start))));
        }
        segments.push(Segment { start: entry.start, end: entry.end, entry: Arc::clone(entry) });
        free = entry.end;
    }
    if let Some(from) = free {
        segments.extend(below.iter().filter_map(|segment| clip(segment, from, None)));
    }
    segments
}

fn clip(segment: &Segment, from: Date, to: Option<Date>) -> Option<Segment> {
    let start = segment.start.max(from);
    let end = match (segment.end, to) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    end.is_none_or(|end| start < end).then(|| Segment { start, end, entry: Arc::clone(&segment.entry) })
}

/// A revision before it belongs to a region. `body` digests everything but the region's code.
#[derive(Clone)]
pub(super) struct Template {
    body: [u8; 32],
    policy: Policy,
}

impl Template {
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What a set of policies keeps of it.
    pub fn part(&self, folder: &str) -> SetPart {
        let (name, start) = (folder.to_owned(), self.policy.revision.start);
        SetPart { name, start, digest: first8(&self.body) }
    }

    /// The same policy as the revision of one region.
    pub fn of(&self, region: RegionCode) -> Policy {
        let mut policy = self.policy.clone();
        policy.region = region;
        policy.revision.digest =
            Sha256::new().chain_update(region.to_string()).chain_update(self.body).finalize().into();
        policy
    }
}

pub(super) fn revisions(folder: &str, layers: &BTreeMap<String, Layer>) -> Vec<Template> {
    let timelines: Vec<_> = Param::ALL.iter().map(|param| (*param, timeline(*param, folder, layers))).collect();
    // Starts are enough: timelines have no holes, so each end is the next segment's start.
    let starts: BTreeSet<Date> =
        timelines.iter().flat_map(|(_, line)| line.iter().map(|segment| segment.start)).collect();
    let starts: Vec<Date> = starts.into_iter().collect();
    let mut templates: Vec<Template> = Vec::with_capacity(starts.len());
    for (index, start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied();
        let template = template(*start, end, &timelines);
        match templates.last_mut() {
            Some(last) if last.policy.values == template.policy.values => last.policy.revision.end = end,
            _ => templates.push(template),
        }
    }
    for template in &mut templates {
        template.body = body_digest(&template.policy);
    }
    templates
}

fn template(start: Date, end: Option<Date>, timelines: &[(Param, Vec<Segment>)]) -> Template {
    let mut rules = blank();
    let mut values = Vec::with_capacity(timelines.len());
    let mut known_from = Date::MIN;
    for (param, line) in timelines {
        let holds = |segment: &&Segment| segment.start <= start && segment.end.is_none_or(|end| start < end);
        let Some(segment) = line.iter().find(holds) else { continue };
        let Some(given) = &segment.entry.given else { continue };
        given.value.put_into(&mut rules);
        known_from = known_from.max(given.known_from);
        values.push(value(*param, segment, given));
    }
    let revision = Revision { digest: [0; 32], start, end, known_from };
    let policy = Policy { region: RegionCode::NATIONAL, revision, rules: Arc::new(rules), values: values.into() };
    Template { body: [0; 32], policy }
}

fn value(param: Param, segment: &Segment, given: &Given) -> PolicyValue {
    PolicyValue {
        param,
        text: given.value.text.clone(),
        start: segment.start,
        end: segment.end,
        region: given.region,
        citation: Arc::clone(&given.citation),
        grade: given.grade,
        note: given.note.clone(),
        place: given.place.clone(),
    }
}

pub(super) fn first8(digest: &[u8]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    first
}

/// Everything that is kept of a revision and shown from it. Each struct is destructured, so that a field that is added is in
/// the digest or is left out on purpose: places in files are, since a comment above a value is no other law.
fn body_digest(policy: &Policy) -> [u8; 32] {
    let mut hash = Sha256::new();
    let Revision { digest: _, start, end, known_from } = &policy.revision;
    update(&mut hash, &[&start.to_string(), &day_or_open(*end), &known_from.to_string()]);
    for value in policy.values.iter() {
        let PolicyValue { param, text, start, end, region, citation, grade, note, place: _ } = value;
        let (start, end, region) = (start.to_string(), day_or_open(*end), region.to_string());
        update(&mut hash, &[param.name(), text, &start, &end, &region, grade.name(), note]);
        cite(&mut hash, citation);
    }
    hash.finalize().into()
}

fn day_or_open(day: Option<Date>) -> String {
    day.map_or_else(|| "open".to_owned(), |day| day.to_string())
}

/// Adds a source with all that is shown of it.
pub(super) fn cite(hash: &mut Sha256, citation: &Citation) {
    let Citation { id, document, article, effective, url, grade, note, place: _ } = citation;
    update(hash, &[id, document, article, &day_or_open(*effective), url, grade.name(), note]);
}

/// Adds texts with their lengths, so that no two lists of texts run together into the same bytes.
pub(super) fn update(hash: &mut Sha256, parts: &[&str]) {
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
}

/// Rules before any value is put in. National values cover every key, so nothing of this is ever seen.
fn blank() -> Rules {
    Rules {
        modes: Vec::new(),
        relations: Vec::new(),
        beneficiary_scope: Scope::Nowhere,
        beneficiary_schemes: Vec::new(),
        owner_tiers: Vec::new(),
        owner_states: Vec::new(),
        beneficiary_states: Vec::new(),
        own_buckets: Vec::new(),
        relative_buckets: Vec::new(),
        floor: Floor::Fixed(Money::ZERO),
        own_account_order: OwnAccountOrder::OwnFirst,
        owner_order: OwnerOrder::BalanceDesc,
        own_purposes: Vec::new(),
        relative_purposes: Vec::new(),
        prohibited_purposes: Vec::new(),
        own_components: Vec::new(),
        relative_components: Vec::new(),
        fund_shares: Vec::new(),
        deductibles: Vec::new(),
        fund_year_cap: None,
        first_self_pay_rate: Rate::ZERO,
        fund_rounding: Rounding::HalfUp,
        members_per_owner: None,
        owners_per_member: None,
        owners_per_settlement: None,
        channels: Vec::new(),
        paper_authorisation: false,
        release_on_end_or_move: false,
        family_size: None,
        one_family_per_person: false,
        aid_per_settlement: None,
        aid_per_day: None,
        aid_per_year: None,
        full_self_pay_classes: Vec::new(),
        price_caps: Vec::new(),
        minor_age: None,
        releases: Vec::new(),
        card_activation: Vec::new(),
        paper_regularise_days: None,
        cross_province_modes: Vec::new(),
        wallet_sources: Vec::new(),
        wallet_purposes: Vec::new(),
        wallet_transfers_per_day: None,
        wallet_transfer_max: None,
        wallet_closed_hours: None,
        wallet_return_time: jiff::civil::Time::MIN,
        quota_evidence: Vec::new(),
        quota_max: None,
        year_interest: None,
        premium_purposes: Vec::new(),
        fund_year_cap_purposes: Vec::new(),
        release_sides: Vec::new(),
        limits_other_provinces: true,
    }
}
