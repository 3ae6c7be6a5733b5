//! The values that are tables: the floor, and the rows of the fund's ratios, of deductibles and of channels.

use super::error::Problems;
use super::reader::{Node, Table};
use super::value::{Named, amount, code, codes, name_of, names, rate};
use crate::domain::money::{Money, Rate};
use crate::domain::policy::{
    CardRule, ChannelRule, Deductible, Floor, FundBand, FundShare, Hours, PriceCap, RelationSteps, ReleaseRule,
    YearInterest,
};
use crate::domain::vocabulary::{DeductiblePer, Effective, InterestBasis};

/// What the owner keeps: `{ fixed_fen }`, or `{ rate, of_fen, rounding }`.
pub(super) fn floor(node: &Node<'_>, problems: &mut Problems) -> Option<Floor> {
    let mut table = node.table(problems)?;
    let floor = if let Some(fixed) = table.get("fixed_fen") {
        amount(&fixed, problems).map(Floor::Fixed)
    } else {
        let rate = table.need("rate", problems).and_then(|node| rate(&node, problems));
        let of = table.need("of_fen", problems).and_then(|node| amount(&node, problems));
        let rounding = table.need("rounding", problems).and_then(|node| name_of(&node, problems));
        rate.zip(of).zip(rounding).map(|((rate, of), rounding)| Floor::Share { rate, of, rounding })
    };
    table.finish(problems);
    floor
}

/// How a closed year bears interest: `{ basis, current_rate, prior_rate, rounding }`, the second only where the basis asks.
pub(super) fn year_interest(node: &Node<'_>, problems: &mut Problems) -> Option<YearInterest> {
    let mut table = node.table(problems)?;
    let basis = table.need("basis", problems).and_then(|node| name_of(&node, problems));
    let current = match basis {
        Some(InterestBasis::PriorYearsBalance) => Some(Rate::ZERO),
        _ => table.need("current_rate", problems).and_then(|node| rate(&node, problems)),
    };
    let prior = table.need("prior_rate", problems).and_then(|node| rate(&node, problems));
    let rounding = table.need("rounding", problems).and_then(|node| name_of(&node, problems));
    table.finish(problems);
    Some(YearInterest { basis: basis?, current_rate: current?, prior_rate: prior?, rounding: rounding? })
}

/// Rows of a table value with the key that names them; two rows of one name could not be told apart in an explanation.
pub(super) fn tables<T>(
    node: &Node<'_>,
    problems: &mut Problems,
    row: fn(&mut Table<'_>, &mut Problems) -> Option<T>,
    (named_by, name): (&'static str, fn(&T) -> &str),
    covers: fn(&T, &T) -> bool,
) -> Option<Vec<T>> {
    let nodes = node.items(problems)?;
    let mut rows: Vec<T> = Vec::with_capacity(nodes.len());
    for item in &nodes {
        let Some(mut table) = item.table(problems) else { continue };
        if let Some(read) = row(&mut table, problems) {
            if rows.iter().any(|earlier| name(earlier) == name(&read)) {
                let node = table.get(named_by).unwrap_or_else(|| item.clone());
                node.refuse(problems, format!("is the name of a second row: {}", name(&read)));
            }
            if let Some(earlier) = rows.iter().find(|earlier| covers(earlier, &read)) {
                let earlier = name(earlier);
                item.refuse(problems, format!("is never reached: {earlier} before it matches all that it matches"));
            }
            rows.push(read);
        }
        table.finish(problems);
    }
    (rows.len() == nodes.len()).then_some(rows)
}

/// Whether the list of an earlier row lets everything through that the later one's does. Empty lists mean "any".
fn wider<T: PartialEq>(earlier: &[T], later: &[T]) -> bool {
    earlier.is_empty() || (!later.is_empty() && later.iter().all(|item| earlier.contains(item)))
}

pub(super) fn fund_share_covers(earlier: &FundShare, later: &FundShare) -> bool {
    // An exclusion of the earlier row bites unless the later one excludes the same or never had it.
    let bites = |category| {
        !later.excluded_categories.contains(category)
            && (later.categories.is_empty() || later.categories.contains(category))
    };
    wider(&earlier.schemes, &later.schemes)
        && wider(&earlier.tiers, &later.tiers)
        && wider(&earlier.states, &later.states)
        && wider(&earlier.institution_kinds, &later.institution_kinds)
        && wider(&earlier.purposes, &later.purposes)
        && wider(&earlier.list_classes, &later.list_classes)
        && wider(&earlier.categories, &later.categories)
        && !earlier.excluded_categories.iter().any(bites)
}

pub(super) fn deductible_covers(earlier: &Deductible, later: &Deductible) -> bool {
    wider(&earlier.schemes, &later.schemes)
        && wider(&earlier.tiers, &later.tiers)
        && wider(&earlier.institution_kinds, &later.institution_kinds)
        && wider(&earlier.purposes, &later.purposes)
}

pub(super) fn price_cap_covers(earlier: &PriceCap, later: &PriceCap) -> bool {
    wider(&earlier.item_codes, &later.item_codes)
        && wider(&earlier.categories, &later.categories)
        && wider(&earlier.institution_kinds, &later.institution_kinds)
}

/// A list that may be left out, which means "any".
fn any_names<T: Named>(table: &mut Table<'_>, key: &'static str, problems: &mut Problems) -> Option<Vec<T>> {
    table.get(key).map_or(Some(Vec::new()), |node| names(&node, problems))
}

fn any_codes(table: &mut Table<'_>, key: &'static str, problems: &mut Problems) -> Option<Vec<String>> {
    table.get(key).map_or(Some(Vec::new()), |node| codes(&node, problems))
}

pub(super) fn fund_share(table: &mut Table<'_>, problems: &mut Problems) -> Option<FundShare> {
    let name = table.need("name", problems).and_then(|node| code(&node, problems));
    let schemes = any_names(table, "schemes", problems);
    let tiers = any_codes(table, "tiers", problems);
    let states = any_names(table, "states", problems);
    let institution_kinds = any_names(table, "institution_kinds", problems);
    let purposes = any_names(table, "purposes", problems);
    let list_classes = any_names(table, "list_classes", problems);
    let categories = any_names(table, "categories", problems);
    let excluded_categories = any_names(table, "excluded_categories", problems);
    let of_row = table.need("rate", problems).and_then(|node| rate(&node, problems));
    let bands = table.get("bands").map_or(Some(Vec::new()), |node| bands(&node, problems));
    Some(FundShare {
        name: name?,
        schemes: schemes?,
        tiers: tiers?,
        states: states?,
        institution_kinds: institution_kinds?,
        purposes: purposes?,
        list_classes: list_classes?,
        categories: categories?,
        excluded_categories: excluded_categories?,
        rate: of_row?,
        bands: bands?,
    })
}

/// Rates from rising amounts on: `[{ fund_paid_fen = 2000000, rate = "0.60" }]`.
fn bands(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<FundBand>> {
    let nodes = node.items(problems)?;
    let mut bands: Vec<FundBand> = Vec::with_capacity(nodes.len());
    for item in &nodes {
        let mut table = item.table(problems)?;
        let from = table.need("fund_paid_fen", problems);
        let fund_paid = from.as_ref().and_then(|node| amount(node, problems));
        let rate = table.need("rate", problems).and_then(|node| rate(&node, problems));
        table.finish(problems);
        let band = FundBand { fund_paid: fund_paid?, rate: rate? };
        if band.fund_paid <= bands.last().map_or(Money::ZERO, |last| last.fund_paid) {
            from?.refuse(problems, "must lie above 0 and above the band before it");
            return None;
        }
        bands.push(band);
    }
    Some(bands)
}

pub(super) fn deductible(table: &mut Table<'_>, problems: &mut Problems) -> Option<Deductible> {
    let name = table.need("name", problems).and_then(|node| code(&node, problems));
    let schemes = any_names(table, "schemes", problems);
    let tiers = any_codes(table, "tiers", problems);
    let institution_kinds = any_names(table, "institution_kinds", problems);
    let purposes = any_names(table, "purposes", problems);
    let amount = table.need("amount_fen", problems).and_then(|node| amount(&node, problems));
    let per = table.get("per").map_or(Some(DeductiblePer::Year), |node| name_of(&node, problems));
    Some(Deductible {
        name: name?,
        schemes: schemes?,
        tiers: tiers?,
        institution_kinds: institution_kinds?,
        purposes: purposes?,
        amount: amount?,
        per: per?,
    })
}

pub(super) fn price_cap(table: &mut Table<'_>, problems: &mut Problems) -> Option<PriceCap> {
    let name = table.need("name", problems).and_then(|node| code(&node, problems));
    let item_codes = any_codes(table, "item_codes", problems);
    let categories = any_names(table, "categories", problems);
    let institution_kinds = any_names(table, "institution_kinds", problems);
    let amount = table.need("amount_fen", problems).and_then(|node| amount(&node, problems));
    Some(PriceCap {
        name: name?,
        item_codes: item_codes?,
        categories: categories?,
        institution_kinds: institution_kinds?,
        amount: amount?,
    })
}

pub(super) fn channel(table: &mut Table<'_>, problems: &mut Problems) -> Option<ChannelRule> {
    let channel = table.need("channel", problems).and_then(|node| name_of(&node, problems));
    let evidence = table.need("evidence", problems).and_then(|node| codes(&node, problems));
    let grants = table.need("grants", problems).and_then(|node| {
        let grants = names(&node, problems)?;
        if grants.is_empty() {
            node.refuse(problems, "is empty: a channel that gives nothing is no channel");
        }
        Some(grants)
    });
    let evidence_any = table.get("evidence_any").map_or(Some(Vec::new()), |node| {
        let any = codes(&node, problems)?;
        if any.len() < 2 {
            node.refuse(problems, "names no choice: what is always asked for belongs to evidence");
        }
        Some(any)
    });
    let minor_evidence = any_codes(table, "minor_evidence", problems);
    let verification = any_codes(table, "verification", problems);
    let steps = table.get("relation_steps").map_or(Some(Vec::new()), |node| relation_steps(&node, problems));
    let card_active = table.get("card_active").map_or(Some(false), |node| node.flag(problems));
    let effective = effective(table, problems);
    Some(ChannelRule {
        channel: channel?,
        evidence: evidence?,
        evidence_any: evidence_any?,
        minor_evidence: minor_evidence?,
        verification: verification?,
        relation_steps: steps?,
        card_active: card_active?,
        effective: effective?,
        grants: grants?,
    })
}

/// `[{ relations = ["SPOUSE"], verification = ["BENEFICIARY_CONSENT"] }]`.
fn relation_steps(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<RelationSteps>> {
    let nodes = node.items(problems)?;
    let mut found = Vec::with_capacity(nodes.len());
    for item in &nodes {
        let mut table = item.table(problems)?;
        let relations = table.need("relations", problems).and_then(|node| names(&node, problems));
        let verification = table.need("verification", problems).and_then(|node| codes(&node, problems));
        table.finish(problems);
        found.push(RelationSteps { relations: relations?, verification: verification? });
    }
    Some(found)
}

/// At once, where nothing is said.
fn effective(table: &mut Table<'_>, problems: &mut Problems) -> Option<Effective> {
    table.get("effective").map_or(Some(Effective::AtOnce), |node| name_of(&node, problems))
}

pub(super) fn release(table: &mut Table<'_>, problems: &mut Problems) -> Option<ReleaseRule> {
    let channel = table.need("channel", problems).and_then(|node| name_of(&node, problems));
    let evidence = table.need("evidence", problems).and_then(|node| codes(&node, problems));
    let effective = effective(table, problems);
    Some(ReleaseRule { channel: channel?, evidence: evidence?, effective: effective? })
}

pub(super) fn card_activation(table: &mut Table<'_>, problems: &mut Problems) -> Option<CardRule> {
    let channel = table.need("channel", problems).and_then(|node| name_of(&node, problems));
    let evidence = table.need("evidence", problems).and_then(|node| codes(&node, problems));
    Some(CardRule { channel: channel?, evidence: evidence? })
}

/// A part of the day: `{ from = 22:00:00, to = 06:00:00 }`.
pub(super) fn hours(node: &Node<'_>, problems: &mut Problems) -> Option<Hours> {
    let mut table = node.table(problems)?;
    let from = table.need("from", problems).and_then(|node| node.time(problems));
    let to = table.need("to", problems).and_then(|node| node.time(problems));
    table.finish(problems);
    let hours = Hours { from: from?, to: to? };
    if hours.from == hours.to {
        node.refuse(problems, "is empty: it ends when it begins; write \"none\"");
        return None;
    }
    Some(hours)
}
