//! Pooling regions (统筹区) and the days on which they opened for cross-province sharing (跨省共济).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;

use super::ids::RegionCode;
use super::policy::Citation;
use super::relation_codes::RelationCodes;

/// What kind of unit a code stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegionLevel {
    /// A province as a whole: no pool, nobody is insured "in" it.
    ProvinceNode,
    /// 省本级: the pool of the province's own units.
    ProvincePool,
    /// 直辖市.
    Municipality,
    City,
    /// 市本级.
    CityPool,
    /// A county-level unit that is a pool of its own.
    County,
    /// A unit outside the ordinary scheme, such as 雄安新区; or the Corps (兵团), province and pool in one.
    Special,
}

impl RegionLevel {
    pub const ALL: [Self; 7] = [
        Self::ProvinceNode,
        Self::ProvincePool,
        Self::Municipality,
        Self::City,
        Self::CityPool,
        Self::County,
        Self::Special,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::ProvinceNode => "PROVINCE_NODE",
            Self::ProvincePool => "PROVINCE_POOL",
            Self::Municipality => "MUNICIPALITY",
            Self::City => "CITY",
            Self::CityPool => "CITY_POOL",
            Self::County => "COUNTY",
            Self::Special => "SPECIAL",
        }
    }

    /// Whether people can be insured there.
    pub const fn is_pool(self) -> bool {
        !matches!(self, Self::ProvinceNode)
    }
}

/// One row of `policies/regions.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    pub code: RegionCode,
    pub name: String,
    pub aliases: Vec<String>,
    pub parent: Option<RegionCode>,
    pub level: RegionLevel,
    pub valid_from: Date,
    pub valid_to: Option<Date>,
    pub citation: Arc<Citation>,
}

impl Region {
    pub fn is_valid_on(&self, on: Date) -> bool {
        self.valid_from <= on && self.valid_to.is_none_or(|end| on < end)
    }
}

/// One row of `policies/national/cross_province.csv`: a region, or a whole province by its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    pub unit: RegionCode,
    pub since: Date,
    pub citation: Arc<Citation>,
}

/// All regions and openings, by code.
#[derive(Clone, Debug, Default)]
pub struct RegionBook {
    regions: BTreeMap<RegionCode, Region>,
    openings: BTreeMap<RegionCode, Opening>,
    pub relation_codes: RelationCodes,
    /// The digest of the policy set that these regions belong to.
    pub policy_set: [u8; 32],
}

impl RegionBook {
    pub fn new(regions: BTreeMap<RegionCode, Region>, openings: BTreeMap<RegionCode, Opening>) -> Self {
        Self { regions, openings, relation_codes: RelationCodes::default(), policy_set: [0; 32] }
    }

    pub fn get(&self, code: RegionCode) -> Option<&Region> {
        self.regions.get(&code)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Region> {
        self.regions.values()
    }

    /// The opening that first covers the region, by itself or through its province.
    pub fn opening(&self, code: RegionCode) -> Option<&Opening> {
        let own = self.openings.get(&code);
        let province = self.openings.get(&code.province());
        match (own, province) {
            (Some(own), Some(province)) => Some(if province.since < own.since { province } else { own }),
            (own, province) => own.or(province),
        }
    }

    /// The opening in force on a day.
    pub fn open_on(&self, code: RegionCode, on: Date) -> Option<&Opening> {
        self.opening(code).filter(|opening| opening.since <= on)
    }
}
