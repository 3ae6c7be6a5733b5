//! Values in words, for people: the terms of the closed lists in Chinese or English, amounts in yuan.

use serde_json::Value as Json;

use crate::domain::policy::{Param, PolicyValue};
use crate::domain::vocabulary as vocab;

/// The language of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Chinese,
    English,
}

/// Words that stand in values but in no closed list: code, Chinese, English.
const OTHERS: &[(&str, &str, &str)] = &[
    ("none", "不限", "no limit"),
    ("true", "是", "yes"),
    ("false", "否", "no"),
    ("HALF_UP_FEN", "四舍五入到分", "half up to the fen"),
    ("HALF_EVEN_FEN", "四舍六入五成双到分", "half to even to the fen"),
    ("FLOOR_FEN", "向下取整到分", "down to the fen"),
    ("CEILING_FEN", "向上取整到分", "up to the fen"),
    ("OWNER_ID", "共济人身份证", "owner's id"),
    ("OWNER_CARD", "共济人社保卡", "owner's card"),
    ("OWNER_E_CODE", "共济人医保电子凭证", "owner's active e-code"),
    ("BENEFICIARY_ID", "被共济人身份证", "beneficiary's id"),
    ("BENEFICIARY_PERSONAL_NUMBER", "被共济人社保电脑号", "beneficiary's personal number"),
    ("USER_CARD_NUMBER", "使用人卡号", "user's card number"),
    ("COMMITMENT", "承诺书", "commitment"),
    ("RELATION_PROOF", "亲属关系证明", "proof of the relation"),
    ("REAL_NAME_LOGIN", "实名登录", "real-name login"),
    ("E_CARD_PASSWORD", "电子社保卡密码", "e-card password"),
    ("NOTICE_CONSENT", "同意告知书", "consent to the notice"),
    ("IDENTITY_PROOF", "身份凭证", "identity proof"),
    ("FACE_CHECK", "人脸识别", "face check"),
    ("FACE_PHOTO", "正面人脸照片", "frontal photograph"),
    ("APPLICATION_FORM", "申请表", "application form"),
    ("OFFICE_APPROVAL", "经办机构审核", "approval of the office"),
    ("OWNER_CONSENT", "共济人确认", "owner's consent"),
    ("BENEFICIARY_CONSENT", "被共济人确认", "beneficiary's consent"),
];

/// Keys of rows: code, Chinese, English.
const KEYS: &[(&str, &str, &str)] = &[
    ("fixed_fen", "固定金额", "fixed"),
    ("rate", "比例", "rate"),
    ("of_fen", "基数", "of"),
    ("rounding", "取整", "rounded"),
    ("basis", "计息基数", "on"),
    ("current_rate", "当年余额利率", "current-year rate"),
    ("prior_rate", "历年余额利率", "prior-years rate"),
    ("schemes", "险种", "schemes"),
    ("tiers", "档次", "tiers"),
    ("states", "参保状态", "states"),
    ("institution_kinds", "机构", "institutions"),
    ("purposes", "用途", "purposes"),
    ("list_classes", "目录类别", "classes"),
    ("categories", "项目类别", "categories"),
    ("excluded_categories", "除外类别", "except"),
    ("amount_fen", "金额", "amount"),
    ("per", "周期", "per"),
    ("item_codes", "项目编码", "items"),
    ("channel", "渠道", "channel"),
    ("evidence", "材料", "evidence"),
    ("evidence_any", "另交任一材料", "one of"),
    ("grants", "授权", "grants"),
    ("minor_evidence", "未成年人另交", "of minors also"),
    ("verification", "后续核验", "to follow"),
    ("relations", "关系", "relations"),
    ("relation_steps", "按关系另需核验", "by relation to follow"),
    ("bands", "分段", "bands"),
    ("fund_paid_fen", "基金年度累计支付满", "from fund paid this year"),
];

macro_rules! term {
    ($word:expr, $($list:ident)*) => {
        None$(.or_else(|| vocab::$list::parse($word).map(vocab::$list::zh)))*
    };
}

/// One word of a value.
fn word(code: &str, language: Language) -> String {
    if let Some((_, chinese, english)) = OTHERS.iter().find(|(known, ..)| *known == code) {
        return if language == Language::Chinese { (*chinese).to_owned() } else { (*english).to_owned() };
    }
    let chinese = term!(code, Relation Mode Bucket Purpose Component InstitutionKind ListClass Category Scheme InsuranceState
        Channel Grant Scope OwnAccountOrder OwnerOrder DeductiblePer Grade InterestBasis TieSide);
    match (chinese, language) {
        (Some(chinese), Language::Chinese) => chinese.to_owned(),
        (Some(_), Language::English) => english(code),
        (None, _) => code.to_owned(),
    }
}

fn english(code: &str) -> String {
    if code.len() == 1 { format!("class {code}") } else { code.to_lowercase().replace('_', " ") }
}

/// Fen as yuan.
pub fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    let fen = fen.unsigned_abs();
    format!("{sign}{}.{:02}", fen / 100, fen % 100)
}

fn amount(fen: i64, language: Language) -> String {
    match language {
        Language::Chinese => format!("{} 元", yuan(fen)),
        Language::English => format!("{} yuan", yuan(fen)),
    }
}

/// Whether a plain number of this key is an amount.
fn is_amount(param: Param) -> bool {
    matches!(param, Param::FundYearCap | Param::AidPerSettlement | Param::AidPerDay | Param::AidPerYear)
}

/// A value as a reader would say it.
pub fn value(value: &PolicyValue, language: Language) -> String {
    text(value.param, &value.text, language)
}

/// The same for a canonical text of a key.
pub fn text(param: Param, text: &str, language: Language) -> String {
    if text.is_empty() {
        return match language {
            Language::Chinese => "（无）".to_owned(),
            Language::English => "(none)".to_owned(),
        };
    }
    if text.starts_with(['[', '{'])
        && let Ok(json) = serde_json::from_str::<Json>(text)
    {
        return rows(&json, language);
    }
    match text.parse::<i64>() {
        Ok(fen) if is_amount(param) => amount(fen, language),
        _ => items(text.split(','), language),
    }
}

fn items<'a>(words: impl Iterator<Item = &'a str>, language: Language) -> String {
    let separator = if language == Language::Chinese { "、" } else { ", " };
    words.map(|code| word(code, language)).collect::<Vec<_>>().join(separator)
}

fn rows(json: &Json, language: Language) -> String {
    match json {
        Json::Array(rows) if rows.is_empty() => text(Param::Modes, "", language),
        Json::Array(rows) => rows.iter().map(|row| format!("\n    - {}", row_text(row, language))).collect(),
        row @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_)) => {
            row_text(row, language)
        }
    }
}

fn row_text(row: &Json, language: Language) -> String {
    let Json::Object(fields) = row else { return row.to_string() };
    let parts = fields.iter().filter_map(|(key, value)| {
        let shown = match value {
            Json::Array(items) if items.is_empty() => return None,
            Json::Array(list) if list.iter().all(Json::is_object) => {
                let rows = list.iter().map(|row| row_text(row, language));
                format!("({})", rows.collect::<Vec<_>>().join(" / "))
            }
            Json::Array(list) => items(list.iter().filter_map(Json::as_str), language),
            Json::String(code) => items(std::iter::once(code.as_str()), language),
            Json::Number(number) if key.ends_with("_fen") => amount(number.as_i64().unwrap_or(0), language),
            other @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_)) => other.to_string(),
        };
        if key == "name" {
            return Some(shown);
        }
        let known = KEYS.iter().find(|(known, ..)| known == key);
        let label = match (known, language) {
            (Some((_, chinese, _)), Language::Chinese) => chinese,
            (Some((_, _, english)), Language::English) => english,
            (None, _) => key.as_str(),
        };
        Some(format!("{label} {shown}"))
    });
    parts.collect::<Vec<_>>().join(if language == Language::Chinese { "；" } else { "; " })
}

/// A key as a reader would say it.
pub fn key(param: Param, language: Language) -> String {
    match language {
        Language::Chinese => param.zh().to_owned(),
        Language::English => param.name().replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_said_in_both_languages() {
        let say = |param, value: &str| (text(param, value, Language::Chinese), text(param, value, Language::English));
        assert_eq!(say(Param::Relations, "SPOUSE,CHILD"), ("配偶、子女".to_owned(), "spouse, child".to_owned()));
        assert_eq!(say(Param::AidPerDay, "30000"), ("300.00 元".to_owned(), "300.00 yuan".to_owned()));
        assert_eq!(say(Param::MembersPerOwner, "none"), ("不限".to_owned(), "no limit".to_owned()));
        assert_eq!(say(Param::MembersPerOwner, "7"), ("7".to_owned(), "7".to_owned()));
        assert_eq!(say(Param::Modes, ""), ("（无）".to_owned(), "(none)".to_owned()));
        let floor = r#"{"rate":"0.05","of_fen":8975700,"rounding":"HALF_UP_FEN"}"#;
        let english = "of 89757.00 yuan; rate 0.05; rounded half up to the fen";
        let found = text(Param::Floor, floor, Language::English);
        let sorted = |text: &str| {
            let mut parts: Vec<String> = text.split("; ").map(str::to_owned).collect();
            parts.sort();
            parts
        };
        assert_eq!(sorted(&found), sorted(english));
        let bands = r#"[{"name":"x","rate":"0.7","bands":[{"fund_paid_fen":2000000,"rate":"0.6"}]}]"#;
        let (chinese, english) = say(Param::FundShares, bands);
        assert!(english.contains("bands (from fund paid this year 20000.00 yuan; rate 0.6)"), "{english}");
        assert!(chinese.contains("分段 (基金年度累计支付满 20000.00 元；比例 0.6)"), "{chinese}");
        assert_eq!(yuan(-5), "-0.05");
    }
}
