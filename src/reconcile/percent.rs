//! Percentages as people type them.

use std::fmt;
use std::str::FromStr;

/// 0% to 100%, in steps of a hundredth of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent {
    hundredths: u16,
}

/// A text is not a percentage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a percentage from 0% to 100%, such as 80% or 2.5%")]
pub struct PercentError(String);

impl Percent {
    /// A whole percentage; more than 100 is 100.
    #[must_use]
    pub const fn whole(percent: u16) -> Self {
        Self { hundredths: if percent > 100 { 10_000 } else { percent * 100 } }
    }

    /// That share of `base`, rounded down.
    #[must_use]
    pub fn of(self, base: u64) -> u64 {
        let share = u128::from(base) * u128::from(self.hundredths) / 10_000;
        u64::try_from(share).expect("a share is no more than the whole")
    }

    /// Whether `part` is at least this share of `base`, without rounding.
    #[must_use]
    pub fn is_reached_by(self, part: u64, base: u64) -> bool {
        u128::from(part) * 10_000 >= u128::from(base) * u128::from(self.hundredths)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.hundredths / 100, self.hundredths % 100);
        match rest {
            0 => write!(f, "{whole}%"),
            _ if rest % 10 == 0 => write!(f, "{whole}.{}%", rest / 10),
            _ => write!(f, "{whole}.{rest:02}%"),
        }
    }
}

impl FromStr for Percent {
    type Err = PercentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hundredths = text.trim().strip_suffix('%').and_then(|number| hundredths(number.trim_end()));
        hundredths.map(|hundredths| Self { hundredths }).ok_or_else(|| PercentError(text.trim().to_owned()))
    }
}

/// `2.5` as 250; `None` when it is not a number of at most two decimals from 0 to 100.
fn hundredths(number: &str) -> Option<u16> {
    let (whole, rest) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(rest) || rest.len() > 2 {
        return None;
    }
    let scale = if rest.len() == 1 { 10 } else { 1 };
    let rest = rest.parse::<u16>().ok()? * scale;
    let all = whole.parse::<u16>().ok()?.checked_mul(100)?.checked_add(rest)?;
    (all <= 10_000).then_some(all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_percentage_is_read_as_people_write_it() {
        for (text, shown) in [("80%", "80%"), (" 2.5 % ", "2.5%"), ("0.05%", "0.05%"), ("100%", "100%"), ("0%", "0%")] {
            assert_eq!(text.parse::<Percent>().map(|percent| percent.to_string()), Ok(shown.to_owned()));
        }
        for text in ["80", "", "%", "101%", "-1%", "1,5%", "1.234%", "1.%", ".5%", "+1%", "99999999%", "8 0%"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_is_rounded_down_and_a_floor_is_not() {
        let percent: Percent = "2.5%".parse().unwrap();
        assert_eq!(percent.of(199), 4);
        assert_eq!(Percent::whole(100).of(u64::MAX), u64::MAX);
        assert!(Percent::whole(80).is_reached_by(8, 10));
        assert!(!Percent::whole(80).is_reached_by(8, 11), "8 of 11 is less than 80%");
    }

    proptest! {
        #[test]
        fn a_shown_percentage_is_read_as_itself(hundredths in 0u16..=10_000) {
            let percent = Percent { hundredths };
            prop_assert_eq!(percent.to_string().parse::<Percent>(), Ok(percent));
        }
    }
}
