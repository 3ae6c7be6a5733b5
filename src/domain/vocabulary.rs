//! The closed lists of the field: relations, buckets, purposes, components, channels. Each has one name in files, on the
//! wire and in explanations, and one stored code that never changes.

macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $code:literal $text:literal $zh:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$item])* $variant,)* }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in policy files and explanations.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The Chinese term.
            pub const fn zh(self) -> &'static str {
                match self { $(Self::$variant => $zh,)* }
            }

            /// The stored code: ours, never a proto enum number, never reused.
            pub const fn code(self) -> u8 {
                match self { $(Self::$variant => $code,)* }
            }

            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|item| item.name() == name)
            }

            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.iter().copied().find(|item| item.code() == code)
            }
        }
    };
}
pub(crate) use vocabulary;

vocabulary! {
    /// 亲属关系: the beneficiary is the owner's …; the eight near relatives of Civil Code art. 1045.
    Relation {
        Spouse = 1 "SPOUSE" "配偶";
        Parent = 2 "PARENT" "父母";
        Child = 3 "CHILD" "子女";
        Sibling = 4 "SIBLING" "兄弟姐妹";
        PaternalGrandparent = 5 "PATERNAL_GRANDPARENT" "祖父母";
        MaternalGrandparent = 6 "MATERNAL_GRANDPARENT" "外祖父母";
        PaternalGrandchild = 7 "PATERNAL_GRANDCHILD" "孙子女";
        MaternalGrandchild = 8 "MATERNAL_GRANDCHILD" "外孙子女";
    }
}
vocabulary! {
    /// How sharable money moves between two regions.
    Mode {
        DirectDraw = 1 "DIRECT_DRAW" "结算时直接使用";
        TransferBeforehand = 2 "TRANSFER_BEFOREHAND" "事先划转";
        WalletTransfer = 3 "WALLET_TRANSFER" "医保钱包转账";
        Quota = 4 "QUOTA" "共济额度";
    }
}
vocabulary! {
    /// The parts of a personal account (个人账户).
    Bucket {
        CurrentYear = 1 "CURRENT_YEAR" "当年";
        PriorYears = 2 "PRIOR_YEARS" "历年";
        Wallet = 3 "WALLET" "医保钱包";
    }
}
vocabulary! {
    /// What the money is for.
    Purpose {
        Outpatient = 1 "OUTPATIENT" "门诊";
        Inpatient = 2 "INPATIENT" "住院个人负担部分";
        Pharmacy = 3 "PHARMACY" "定点药店购药";
        ResidentPremium = 4 "RESIDENT_PREMIUM" "居民医保缴费";
        LongTermCarePremium = 5 "LONG_TERM_CARE_PREMIUM" "长期护理保险缴费";
        Vaccination = 6 "VACCINATION" "预防接种";
        LargeAmountSupplement = 7 "LARGE_AMOUNT_SUPPLEMENT" "大额补充保险缴费";
        PublicHealth = 8 "PUBLIC_HEALTH" "公共卫生费用";
        SportFitness = 9 "SPORT_FITNESS" "体育健身";
        HealthPreserving = 10 "HEALTH_PRESERVING" "养生保健消费";
        CashWithdrawal = 11 "CASH_WITHDRAWAL" "提取现金";
        NonDesignated = 12 "NON_DESIGNATED" "非定点机构消费";
    }
}
vocabulary! {
    /// The parts of what the person owes; which of them accounts may pay is a dated policy value.
    Component {
        Deductible = 1 "DEDUCTIBLE" "起付标准";
        CoPayment = 2 "CO_PAYMENT" "按比例自付";
        FirstSelfPay = 3 "FIRST_SELF_PAY" "先行自付";
        OverLimit = 4 "OVER_LIMIT" "超限价自费";
        FullSelfPay = 5 "FULL_SELF_PAY" "全自费";
    }
}
vocabulary! {
    /// Where the care is given, or who collects the premium.
    InstitutionKind {
        Level1 = 1 "LEVEL_1" "一级医院";
        Level2 = 2 "LEVEL_2" "二级医院";
        Level3 = 3 "LEVEL_3" "三级医院";
        CommunityHealthCentre = 4 "COMMUNITY_HEALTH_CENTRE" "社区卫生服务中心";
        Pharmacy = 5 "PHARMACY" "定点零售药店";
        Agency = 6 "AGENCY" "经办机构";
    }
}
vocabulary! {
    /// 医保目录类别 of a bill line.
    ListClass {
        A = 1 "A" "甲类";
        B = 2 "B" "乙类";
        C = 3 "C" "丙类";
    }
}
vocabulary! {
    /// What kind of thing a bill line is.
    Category {
        Drug = 1 "DRUG" "药品";
        Device = 2 "DEVICE" "医疗器械";
        Consumable = 3 "CONSUMABLE" "医用耗材";
        Treatment = 4 "TREATMENT" "诊疗项目";
        Dental = 5 "DENTAL" "口腔科治疗";
        Rehabilitation = 6 "REHABILITATION" "康复理疗";
        LargeEquipment = 7 "LARGE_EQUIPMENT" "大型医疗设备检查治疗";
        Vaccination = 8 "VACCINATION" "预防接种";
        Premium = 9 "PREMIUM" "保险费";
        Other = 10 "OTHER" "其他";
    }
}
vocabulary! {
    /// Basic medical insurance schemes (基本医疗保险险种).
    Scheme {
        Employee = 1 "EMPLOYEE" "职工基本医疗保险";
        Resident = 2 "RESIDENT" "城乡居民基本医疗保险";
    }
}
vocabulary! {
    /// 参保状态.
    InsuranceState {
        Normal = 1 "NORMAL" "正常参保";
        Suspended = 2 "SUSPENDED" "暂停参保";
        Ended = 3 "ENDED" "终止参保";
    }
}
vocabulary! {
    /// Where a binding is filed (办理渠道).
    Channel {
        ECardFamilyService = 1 "E_CARD_FAMILY_SERVICE" "电子社保卡亲情服务";
        PersonalWebPage = 2 "PERSONAL_WEB_PAGE" "个人网页";
        AgencyWindow = 3 "AGENCY_WINDOW" "经办窗口";
        StreetOffice = 4 "STREET_OFFICE" "街道办";
        HospitalOffice = 5 "HOSPITAL_OFFICE" "医院医保办";
        CityApp = 6 "CITY_APP" "城市APP";
        NationalApp = 7 "NATIONAL_APP" "国家医保服务平台APP";
        /// Shows a relative's own code and spends the relative's own money: never a way to share.
        FamilyCode = 8 "FAMILY_CODE" "亲情账户";
    }
}
vocabulary! {
    /// Where a card is activated (社保卡激活渠道).
    CardChannel {
        Agency = 1 "AGENCY" "经办机构";
        /// By telephone, key 0 for a person.
        Hotline12333 = 2 "HOTLINE_12333" "12333热线";
        IssuingBank = 3 "ISSUING_BANK" "发卡银行";
    }
}
vocabulary! {
    /// When a binding or its release takes effect.
    Effective {
        AtOnce = 1 "AT_ONCE" "即时生效";
        NextDay = 2 "NEXT_DAY" "次日零时生效";
    }
}
vocabulary! {
    /// What a binding allows the beneficiary; only the last three are drawn on.
    Grant {
        ViewStatement = 1 "VIEW_STATEMENT" "查询权益单";
        Certify = 2 "CERTIFY" "资格认证";
        ApplyTransfer = 3 "APPLY_TRANSFER" "申请转移";
        Spend = 4 "SPEND" "使用账户余额";
        /// Where a region lets the owner choose: for care, not for premiums.
        SpendOnCare = 5 "SPEND_ON_CARE" "共济支付";
        PayPremiums = 6 "PAY_PREMIUMS" "共济缴费";
    }
}
vocabulary! {
    /// How far from the owner's region a beneficiary may be insured.
    Scope {
        Nowhere = 1 "NOWHERE" "不开展";
        SameRegion = 2 "SAME_REGION" "同一统筹区";
        SameProvince = 3 "SAME_PROVINCE" "省内";
    }
}
vocabulary! {
    /// When relatives' accounts come in beside the patient's own.
    OwnAccountOrder {
        OwnFirst = 1 "OWN_FIRST" "先用本人账户，不足部分使用共济账户";
        RelativesOnlyIfOwnZero = 2 "RELATIVES_ONLY_IF_OWN_ZERO" "就诊前本人账户余额为零或无账户方可使用共济账户";
    }
}
vocabulary! {
    /// A side of a binding.
    TieSide {
        Owner = 1 "OWNER" "共济人";
        Beneficiary = 2 "BENEFICIARY" "被共济人";
    }
}
vocabulary! {
    /// In which order several owners pay.
    OwnerOrder {
        BalanceDesc = 1 "BALANCE_DESC" "余额由大到小";
        FilingOrder = 2 "FILING_ORDER" "按绑定先后";
        UserOrder = 3 "USER_ORDER" "按被共济人设定的顺序";
        NewestFirst = 4 "NEWEST_FIRST" "最近绑定优先";
    }
}
vocabulary! {
    /// How often a deductible is asked for.
    DeductiblePer {
        Year = 1 "YEAR" "每年度";
        Visit = 2 "VISIT" "每次";
    }
}
vocabulary! {
    /// What of an account bears interest when a year is closed.
    InterestBasis {
        YearEndBalance = 1 "YEAR_END_BALANCE" "年末余额，当年与历年分别计息";
        PriorYearsBalance = 2 "PRIOR_YEARS_BALANCE" "年末历年余额";
    }
}
vocabulary! {
    /// How sure a source is.
    Grade {
        Official = 1 "OFFICIAL" "官方";
        Guide = 2 "GUIDE" "办事指南";
        Unverified = 3 "UNVERIFIED" "未核实";
        Demo = 4 "DEMO" "演示数据";
    }
}
vocabulary! {
    /// 性别, from the id number.
    Sex {
        Male = 1 "MALE" "男";
        Female = 2 "FEMALE" "女";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_read_back() {
        for relation in Relation::ALL.iter().copied() {
            assert_eq!(Relation::parse(relation.name()), Some(relation));
            assert_eq!(Relation::from_code(relation.code()), Some(relation));
        }
        assert_eq!(Purpose::from_code(0), None);
        assert_eq!(Relation::from_code(0), None, "which stands for nobody's relative in what is stored");
        assert_eq!(Purpose::parse("outpatient"), None);
    }
}
