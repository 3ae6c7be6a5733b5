//! The wire's words of the calculations beside the domain's, variant by variant.

use crate::domain::calc::certification::State;
use crate::domain::calc::words as own;
use crate::grpc::enums::{Wire, wire};
use crate::grpc::proto;

wire! {
    own::Insurance => proto::InsuranceKind { Pension, Medical, Unemployment, Injury, Maternity, HousingFund }
    own::ContributionScheme => proto::ContributionScheme { Employee, Flexible, Resident }
    own::RetirementClass => proto::RetirementClass { Male, FemaleCadre, FemaleWorker }
    own::EarlyCategory => proto::EarlyCategory { SpecialWork, Illness }
    own::GapEffect => proto::GapEffect { Cumulative, BenefitStops, ContinuousRestarts, Continues }
    own::Counter => proto::ContinuityCounter { HousePurchase, CarPurchase, Hukou }
    own::LeavingCause => proto::LeavingCause { Dismissed, Resigned }
    own::TierChannel => proto::TierChannel { TaxWechat, ETaxBureau, TaxHall }
    own::CertificationChannel => proto::CertificationChannel {
        Alipay, Wechat, App12333, Agency, StreetOffice, SelfServiceMachine, Telephone, HomeVisit, DataMatching, ConsulateApp,
    }
    own::Precondition => proto::CertificationPrecondition { ECardClaimed, FaceCheck, IdentityBound, IdDocument, Form, Appointment }
    own::CertificationState => proto::CertificationState { Appointed, Submitted, Passed, Refused }
    State => proto::CertificationDueState { Valid, Open, Overdue }
}
