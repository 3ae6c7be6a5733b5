//! The wire's enums beside the domain's, variant by variant: a new one on either side fails to compile here.

use super::proto;
use crate::domain::reason::Reason;
use crate::domain::region::RegionLevel;
use crate::domain::vocabulary as vocab;

/// A domain word with a twin on the wire.
pub trait Wire: Sized {
    /// The wire's number.
    fn to_wire(self) -> i32;
    /// None for `UNSPECIFIED` and unknown numbers, which are refused on input.
    fn from_wire(number: i32) -> Option<Self>;
}

macro_rules! wire {
    ($($domain:path => $proto:path { $($variant:ident),* $(,)? })*) => {$(
        impl Wire for $domain {
            fn to_wire(self) -> i32 {
                match self { $(Self::$variant => <$proto>::$variant as i32,)* }
            }
            fn from_wire(number: i32) -> Option<Self> {
                match <$proto>::try_from(number).ok()? {
                    <$proto>::Unspecified => None,
                    $(<$proto>::$variant => Some(Self::$variant),)*
                }
            }
        }
    )*};
}
pub(super) use wire;

wire! {
    vocab::Relation => proto::Relation {
        Spouse, Parent, Child, Sibling, PaternalGrandparent, MaternalGrandparent, PaternalGrandchild, MaternalGrandchild,
    }
    vocab::Mode => proto::Mode { DirectDraw, TransferBeforehand, WalletTransfer, Quota }
    vocab::Bucket => proto::Bucket { CurrentYear, PriorYears, Wallet }
    vocab::Purpose => proto::Purpose {
        Outpatient, Inpatient, Pharmacy, ResidentPremium, LongTermCarePremium, Vaccination, LargeAmountSupplement, PublicHealth,
        SportFitness, HealthPreserving, CashWithdrawal, NonDesignated,
    }
    vocab::Component => proto::Component { Deductible, CoPayment, FirstSelfPay, OverLimit, FullSelfPay }
    vocab::InstitutionKind => proto::InstitutionKind { Level1, Level2, Level3, CommunityHealthCentre, Pharmacy, Agency }
    vocab::ListClass => proto::ListClass { A, B, C }
    vocab::Category => proto::ItemCategory {
        Drug, Device, Consumable, Treatment, Dental, Rehabilitation, LargeEquipment, Vaccination, Premium, Other,
    }
    vocab::Scheme => proto::Scheme { Employee, Resident }
    vocab::InsuranceState => proto::InsuranceState { Normal, Suspended, Ended }
    vocab::Channel => proto::Channel {
        ECardFamilyService, PersonalWebPage, AgencyWindow, StreetOffice, HospitalOffice, CityApp, NationalApp, FamilyCode,
    }
    vocab::CardChannel => proto::CardChannel { Agency, Hotline12333, IssuingBank }
    vocab::Grant => proto::Grant { ViewStatement, Certify, ApplyTransfer, Spend, SpendOnCare, PayPremiums }
    vocab::Grade => proto::Grade { Official, Guide, Unverified, Demo }
    vocab::Sex => proto::Sex { Male, Female }
    RegionLevel => proto::RegionLevel { ProvinceNode, ProvincePool, Municipality, City, CityPool, County, Special }
}

/// The wire's number of each word of a list.
pub fn to_wire_all<T: Wire + Copy>(words: &[T]) -> Vec<i32> {
    words.iter().map(|word| word.to_wire()).collect()
}

/// The wire's reason with the same name.
pub fn reason_to_wire(reason: Reason) -> i32 {
    let name = format!("REASON_{}", reason.name());
    proto::Reason::from_str_name(&name).unwrap_or(proto::Reason::InternalError) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_the_domain_is_on_the_wire() {
        for reason in Reason::ALL {
            assert_ne!(reason_to_wire(*reason), proto::Reason::InternalError as i32, "{}", reason.name());
        }
    }

    #[test]
    fn unspecified_and_unknown_numbers_are_nothing() {
        assert_eq!(vocab::Relation::from_wire(0), None);
        assert_eq!(vocab::Relation::from_wire(99), None);
        assert_eq!(vocab::Relation::from_wire(vocab::Relation::Sibling.to_wire()), Some(vocab::Relation::Sibling));
    }
}
