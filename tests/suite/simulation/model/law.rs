//! Who may share with whom, as the auditor reads the rules.

use gongji::domain::ids::MemberId;
use gongji::domain::policy::{Floor, Rules};
use gongji::domain::reason::Reason;
use gongji::domain::vocabulary::{Bucket, InsuranceState, Mode, Purpose, Relation, Scheme, Scope};

use super::{Model, Purse, place};
use crate::simulation::world::World;
use jiff::civil::Date;

/// Both people with the rules of their pools on a day.
pub struct Pair<'w> {
    pub owner: MemberId,
    pub beneficiary: MemberId,
    pub from: &'w Rules,
    pub to: &'w Rules,
}

impl<'w> Pair<'w> {
    pub fn new(model: &Model, world: &'w World, owner: MemberId, beneficiary: MemberId, on: Date) -> Self {
        let (from, to) = (model.rules(world, owner, on), model.rules(world, beneficiary, on));
        Self { owner, beneficiary, from, to }
    }

    pub fn relation_no(&self, relation: Relation) -> Option<Reason> {
        let allowed = self.from.relations.contains(&relation) && self.to.relations.contains(&relation);
        (!allowed).then_some(Reason::RelationNotAllowed)
    }

    /// All pools of these runs are open to other provinces.
    pub fn modes(&self, model: &Model) -> Result<Vec<Mode>, Reason> {
        let region = |id: MemberId| model.who[&id].insurance.region;
        let (from, to) = (region(self.owner), region(self.beneficiary));
        if from == to {
            return Ok(self.from.modes.clone());
        }
        let near = from.as_u32() / 10_000 == to.as_u32() / 10_000;
        let (mine, theirs, no) = if near {
            if [self.from, self.to].iter().any(|rules| rules.beneficiary_scope != Scope::SameProvince) {
                return Err(Reason::BeneficiaryOutOfScope);
            }
            (&self.from.modes, &self.to.modes, Reason::BeneficiaryOutOfScope)
        } else {
            (&self.from.cross_province_modes, &self.to.cross_province_modes, Reason::RegionNotOpen)
        };
        let both: Vec<Mode> = mine.iter().copied().filter(|mode| theirs.contains(mode)).collect();
        if both.is_empty() { Err(no) } else { Ok(both) }
    }

    pub fn mode_no(&self, model: &Model, mode: Mode, no: Reason) -> Option<Reason> {
        match self.modes(model) {
            Err(reason) => Some(reason),
            Ok(modes) => (!modes.contains(&mode)).then_some(no),
        }
    }

    pub fn owner_no(&self, model: &Model) -> Option<Reason> {
        let who = &model.who[&self.owner];
        let states = |rules: &Rules| rules.owner_states.contains(&who.insurance.state);
        if who.insurance.scheme != Scheme::Employee {
            Some(Reason::OwnerNotEmployee)
        } else if !who.insurance.has_account || who.purse.is_none() {
            Some(Reason::OwnerWithoutAccount)
        } else if !states(self.from) || !states(self.to) {
            Some(Reason::OwnerStateNotAllowed)
        } else {
            None
        }
    }

    pub fn beneficiary_no(&self, model: &Model) -> Option<Reason> {
        let insurance = &model.who[&self.beneficiary].insurance;
        if insurance.state == InsuranceState::Ended {
            return Some(Reason::BeneficiaryNotInsured);
        }
        let both = [self.from, self.to];
        if both.iter().any(|rules| !rules.beneficiary_states.contains(&insurance.state)) {
            Some(Reason::BeneficiaryStateNotAllowed)
        } else if both.iter().any(|rules| !rules.beneficiary_schemes.contains(&insurance.scheme)) {
            Some(Reason::BeneficiarySchemeNotAllowed)
        } else {
            None
        }
    }

    pub fn purpose_no(&self, purpose: Purpose) -> Option<Reason> {
        let both = [self.from, self.to];
        if both.iter().any(|rules| rules.prohibited_purposes.contains(&purpose)) {
            Some(Reason::PurposeProhibited)
        } else if both.iter().any(|rules| !rules.relative_purposes.contains(&purpose)) {
            Some(Reason::PurposeNotAllowed)
        } else {
            None
        }
    }
}

/// What an owner must keep, in fen.
pub fn floor_of(rules: &Rules) -> i64 {
    match &rules.floor {
        Floor::Fixed(amount) => amount.as_fen(),
        Floor::Share { rate, of, rounding } => super::split::share(of.as_fen(), *rate, *rounding),
    }
}

/// What relatives may draw: what lies in the buckets open to them, and nothing of what must stay.
pub fn usable(purse: Purse, rules: &Rules) -> i64 {
    let open: i64 = rules.relative_buckets.iter().map(|bucket| purse.1[place(*bucket)]).sum();
    let over = purse.1[place(Bucket::CurrentYear)] + purse.1[place(Bucket::PriorYears)] - floor_of(rules);
    open.min(over.max(0))
}
