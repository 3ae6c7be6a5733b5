//! The closed lists of the calculations.

use crate::domain::vocabulary::vocabulary;

vocabulary! {
    /// 五险一金.
    Insurance {
        Pension = 1 "PENSION" "基本养老保险";
        Medical = 2 "MEDICAL" "基本医疗保险";
        Unemployment = 3 "UNEMPLOYMENT" "失业保险";
        Injury = 4 "INJURY" "工伤保险";
        Maternity = 5 "MATERNITY" "生育保险";
        HousingFund = 6 "HOUSING_FUND" "住房公积金";
    }
}
vocabulary! {
    /// What a benefit may ask for; the figures stand in tables of their own.
    BenefitNeed {
        /// As many months as the row says.
        PaidMonths = 1 "PAID_MONTHS" "累计缴费月数";
        /// Of the year of retirement.
        MinimumYears = 2 "MINIMUM_YEARS" "最低缴费年限";
        LegalAge = 3 "LEGAL_AGE" "法定退休年龄";
        LifelongYears = 4 "LIFELONG_YEARS" "终身享受医保年限";
        Paying = 5 "PAYING" "正常缴费";
        OnUnemploymentBenefit = 6 "ON_UNEMPLOYMENT_BENEFIT" "正在领取失业保险金";
        /// The unemployment fund pays the medical insurance.
        MedicalCovered = 7 "MEDICAL_COVERED" "失业保险基金代缴医保";
        InjuryRecognised = 8 "INJURY_RECOGNISED" "认定工伤";
        UnemploymentConditions = 9 "UNEMPLOYMENT_CONDITIONS" "领取失业保险金条件";
        ContinuousMonths = 10 "CONTINUOUS_MONTHS" "连续缴费月数";
    }
}
vocabulary! {
    /// What is worked out for a benefit.
    GiftAmount {
        MaternityAllowance = 1 "MATERNITY_ALLOWANCE" "生育津贴";
    }
}
vocabulary! {
    /// Who pays contributions, and by which rules.
    ContributionScheme {
        Employee = 1 "EMPLOYEE" "职工";
        Flexible = 2 "FLEXIBLE" "灵活就业人员";
        Resident = 3 "RESIDENT" "城乡居民";
    }
}
vocabulary! {
    /// The three classes of the retirement tables.
    RetirementClass {
        Male = 1 "MALE" "男职工";
        FemaleCadre = 2 "FEMALE_CADRE" "女干部（原55周岁）";
        FemaleWorker = 3 "FEMALE_WORKER" "女工人（原50周岁）";
    }
}
vocabulary! {
    /// Why somebody may retire before the tables say so.
    EarlyCategory {
        SpecialWork = 1 "SPECIAL_WORK" "特殊工种";
        Illness = 2 "ILLNESS" "因病或非因工致残完全丧失劳动能力";
    }
}
vocabulary! {
    /// How an age between two whole years finds its 计发月数.
    PayoutAge {
        Floor = 1 "FLOOR" "按已满整岁";
        Ceiling = 2 "CEILING" "按下一整岁";
        Interpolate = 3 "INTERPOLATE" "按月线性内插";
        Exact = 4 "EXACT" "仅整岁";
    }
}
vocabulary! {
    /// What a transitional pension is a share of.
    TransitionalBase {
        IndexedAverage = 1 "INDEXED_AVERAGE" "（计发基数＋本人指数化工资）÷2";
        IndexedWage = 2 "INDEXED_WAGE" "本人指数化工资";
    }
}
vocabulary! {
    /// What a month without contributions does.
    GapEffect {
        Cumulative = 1 "CUMULATIVE" "累计计算，中断不清零";
        BenefitStops = 2 "BENEFIT_STOPS" "中断期间停止待遇";
        ContinuousRestarts = 3 "CONTINUOUS_RESTARTS" "连续月数重新计算";
        Continues = 4 "CONTINUES" "由新单位续缴，不受影响";
    }
}
vocabulary! {
    /// Counters of continuous months outside the insurance.
    Counter {
        HousePurchase = 1 "HOUSE_PURCHASE" "购房资格";
        CarPurchase = 2 "CAR_PURCHASE" "购车资格";
        Hukou = 3 "HUKOU" "落户资格";
    }
}
vocabulary! {
    /// Where a tier is changed.
    TierChannel {
        TaxWechat = 1 "TAX_WECHAT" "税务微信公众号";
        ETaxBureau = 2 "E_TAX_BUREAU" "电子税务局";
        TaxHall = 3 "TAX_HALL" "办税服务厅";
    }
}
vocabulary! {
    /// When a changed tier takes effect.
    TierEffect {
        NextJanuary = 1 "NEXT_JANUARY" "次年1月";
        NextMonth = 2 "NEXT_MONTH" "次月";
        ThisMonth = 3 "THIS_MONTH" "当月";
    }
}
vocabulary! {
    /// What a change of the resident tier does once the year is paid.
    ResidentChangeRule {
        PayDifference = 1 "PAY_DIFFERENCE" "补缴差额";
        NextYearIfPaid = 2 "NEXT_YEAR_IF_PAID" "当年已缴的次年生效";
    }
}
vocabulary! {
    /// Where somebody proves that they are alive and entitled.
    CertificationChannel {
        Alipay = 1 "ALIPAY" "支付宝";
        Wechat = 2 "WECHAT" "微信";
        App12333 = 3 "APP_12333" "掌上12333";
        Agency = 4 "AGENCY" "经办机构窗口";
        StreetOffice = 5 "STREET_OFFICE" "街道（乡镇）办";
        SelfServiceMachine = 6 "SELF_SERVICE_MACHINE" "自助服务一体机";
        Telephone = 7 "TELEPHONE" "电话";
        HomeVisit = 8 "HOME_VISIT" "上门服务";
        DataMatching = 9 "DATA_MATCHING" "数据比对";
        ConsulateApp = 10 "CONSULATE_APP" "中国领事APP";
    }
}
vocabulary! {
    /// What a certification channel asks for first.
    Precondition {
        ECardClaimed = 1 "E_CARD_CLAIMED" "已领取电子社保卡";
        FaceCheck = 2 "FACE_CHECK" "被认证人人脸识别";
        IdentityBound = 3 "IDENTITY_BOUND" "已实名注册并绑定身份";
        IdDocument = 4 "ID_DOCUMENT" "身份证件";
        Form = 5 "FORM" "认证表";
        Appointment = 6 "APPOINTMENT" "预约";
    }
}
vocabulary! {
    /// How far a certification is.
    CertificationState {
        Appointed = 1 "APPOINTED" "已预约";
        Submitted = 2 "SUBMITTED" "已提交，等待审核";
        Passed = 3 "PASSED" "认证通过";
        Refused = 4 "REFUSED" "认证未通过";
    }
}
vocabulary! {
    /// How a channel answers.
    CertificationResult {
        AtOnce = 1 "AT_ONCE" "即时";
        Review = 2 "REVIEW" "等待审核";
        Visit = 3 "VISIT" "预约上门";
    }
}
vocabulary! {
    /// What day of the retirement month is told.
    RetirementDay {
        ClampToMonthEnd = 1 "CLAMP_TO_MONTH_END" "出生日，超过月末的取月末";
        MonthOnly = 2 "MONTH_ONLY" "只到月份";
    }
}
vocabulary! {
    /// Why work ended.
    LeavingCause {
        Dismissed = 1 "DISMISSED" "非因本人意愿中断就业";
        Resigned = 2 "RESIGNED" "本人主动离职";
    }
}
