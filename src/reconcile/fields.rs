//! The columns of the national shape that are read and written, and money as text in yuan.

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    SetlId,
    Msgid,
    RequestId,
    /// Of a refund: the message that settled.
    Omsgid,
    MedinsSetlId,
    RefdSetlFlag,
    SetlTime,
    MedfeeSumamt,
    FundPaySumamt,
    HospPartAmt,
    AcctPay,
    AcctMulaidPay,
    PsnCashPay,
}

impl Column {
    pub const ALL: [Self; 13] = [
        Self::SetlId,
        Self::Msgid,
        Self::RequestId,
        Self::Omsgid,
        Self::MedinsSetlId,
        Self::RefdSetlFlag,
        Self::SetlTime,
        Self::MedfeeSumamt,
        Self::FundPaySumamt,
        Self::HospPartAmt,
        Self::AcctPay,
        Self::AcctMulaidPay,
        Self::PsnCashPay,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::SetlId => "setl_id",
            Self::Msgid => "msgid",
            Self::RequestId => "request_id",
            Self::Omsgid => "omsgid",
            Self::MedinsSetlId => "medins_setl_id",
            Self::RefdSetlFlag => "refd_setl_flag",
            Self::SetlTime => "setl_time",
            Self::MedfeeSumamt => "medfee_sumamt",
            Self::FundPaySumamt => "fund_pay_sumamt",
            Self::HospPartAmt => "hosp_part_amt",
            Self::AcctPay => "acct_pay",
            Self::AcctMulaidPay => "acct_mulaid_pay",
            Self::PsnCashPay => "psn_cash_pay",
        }
    }

    /// The column of that name. Two vendors write `pdn_cash_pay`.
    pub fn named(name: &str) -> Option<Self> {
        let name = if name == "pdn_cash_pay" { "psn_cash_pay" } else { name };
        Self::ALL.into_iter().find(|column| column.name() == name)
    }
}

/// Columns of a file that does not name them.
pub const UNNAMED: [&str; 10] = [
    "psn_no",
    "mdtrt_id",
    "setl_id",
    "msgid",
    "stmt_rslt",
    "refd_setl_flag",
    "memo",
    "medfee_sumamt",
    "fund_pay_sumamt",
    "acct_pay",
];

/// A cell; nothing, `null` and blanks are none.
pub fn cell(text: &str) -> Option<&str> {
    let text = text.trim();
    (!text.is_empty() && text != "null").then_some(text)
}

/// Yuan with at most two decimals, in fen, exactly. More decimals only if they are zeros.
pub fn fen(yuan: &str) -> Option<i64> {
    let (negative, digits) = match yuan.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, yuan),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(part) || (digits.contains('.') && part.is_empty()) {
        return None;
    }
    let (cents, rest) = part.split_at(part.len().min(2));
    if rest.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let cents = format!("{cents:0<2}").parse::<i64>().ok()?;
    let fen = whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(cents)?;
    Some(if negative { -fen } else { fen })
}

/// Fen as yuan with two decimals.
pub fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", fen.unsigned_abs() / 100, fen.unsigned_abs() % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_exactly_or_not_at_all() {
        let rows = [
            ("0", Some(0)),
            ("126", Some(12_600)),
            ("126.5", Some(12_650)),
            ("126.05", Some(12_605)),
            ("-0.01", Some(-1)),
            ("126.0500", Some(12_605)),
            ("92233720368547758.07", Some(i64::MAX)),
            ("92233720368547758.08", None),
            ("126.005", None),
            ("1,000", None),
            ("1e3", None),
            (".5", None),
            ("5.", None),
            ("--1", None),
            ("+1", None),
            ("", None),
            ("１", None),
        ];
        for (text, expected) in rows {
            assert_eq!(fen(text), expected, "{text}");
        }
        for (fen, text) in [(0, "0.00"), (5, "0.05"), (-12_605, "-126.05")] {
            assert_eq!(yuan(fen), text);
        }
    }

    #[test]
    fn empty_cells_are_none() {
        assert_eq!(["", "null", "  ", " x "].map(cell), [None, None, None, Some("x")]);
    }
}
