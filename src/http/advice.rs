//! How long the other side asks us to wait.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// What Okta's rate headers said about one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateWindow {
    /// Requests per window for this credential. Zero on a violation of concurrency.
    pub limit: u32,
    pub remaining: u32,
    /// Until the window ends, by the server's own clock.
    pub ends_in: Duration,
}

/// `Retry-After` beats everything; after a 429 Okta's reset header stands in for it. `now` serves only when the answer
/// has no `Date`: their clock is compared with itself wherever possible.
#[must_use]
pub fn wait(status: u16, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    if let Some(text) = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()) {
        return retry_after(text.trim(), served_at(headers).unwrap_or(now));
    }
    let window = rate_window(headers, now)?;
    // Okta marks too many requests at once by a limit of 0; its reset is only a hint then.
    (status == 429 && window.limit > 0).then_some(window.ends_in)
}

/// Seconds, whole or not, or a date. Nothing else is understood.
fn retry_after(text: &str, served_at: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds.max(0.0)).ok();
    }
    Some(between(served_at, http_date(text)?))
}

/// `X-Rate-Limit-*`, when all three are there. The earliest reset counts where the header repeats.
#[must_use]
pub fn rate_window(headers: &HeaderMap, now: Timestamp) -> Option<RateWindow> {
    let number = |name: &str| -> Option<i64> {
        let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        texts.flat_map(|text| text.split(',')).filter_map(|text| text.trim().parse().ok()).min()
    };
    let reset = Timestamp::from_second(number("x-rate-limit-reset")?).ok()?;
    Some(RateWindow {
        limit: u32::try_from(number("x-rate-limit-limit")?).ok()?,
        remaining: u32::try_from(number("x-rate-limit-remaining")?).ok()?,
        // One second more: both stamps are cut to whole seconds.
        ends_in: between(served_at(headers).unwrap_or(now), reset) + Duration::from_secs(1),
    })
}

/// The moment of an answer by the clock of whoever gave it, in whole seconds; `None` where it says none.
#[must_use]
pub fn served_at(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

/// A date, as headers have it.
fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    type Lines<'a> = &'a [(&'static str, &'a str)];

    fn headers(lines: Lines<'_>) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn retry_after_is_understood_in_all_its_forms() {
        let now = Timestamp::from_second(1_759_127_097).unwrap(); // Mon, 29 Sep 2025 06:24:57 GMT
        let cases: [(Lines<'_>, Option<u64>); 10] = [
            (&[("retry-after", "10")], Some(10_000)),
            (&[("retry-after", "2.128")], Some(2_128)),
            (&[("retry-after", "0")], Some(0)),
            (&[("retry-after", "-3")], Some(0)),
            (&[("retry-after", "Mon, 29 Sep 2025 06:25:07 GMT")], Some(10_000)),
            // Their clock is an hour behind ours: only theirs counts.
            (
                &[("retry-after", "Mon, 29 Sep 2025 05:25:07 GMT"), ("date", "Mon, 29 Sep 2025 05:25:00 GMT")],
                Some(7_000),
            ),
            (&[("retry-after", "Mon, 29 Sep 2025 06:00:00 GMT")], Some(0)),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "inf")], None),
            (&[], None),
        ];
        for (lines, expected) in cases {
            assert_eq!(wait(429, &headers(lines), now), expected.map(Duration::from_millis), "{lines:?}");
        }
    }

    #[test]
    fn okta_is_waited_for_until_its_window_ends_by_its_own_clock() {
        let now = Timestamp::from_second(0).unwrap();
        let lines = [
            ("date", "Mon, 29 Sep 2025 06:24:57 GMT"),
            ("x-rate-limit-limit", "50"),
            ("x-rate-limit-remaining", "0"),
            ("x-rate-limit-reset", "1759127105"),
        ];
        assert_eq!(wait(429, &headers(&lines), now), Some(Duration::from_secs(9)));
        assert_eq!(wait(200, &headers(&lines), now), None, "only a 429 makes it a wait");
        let mut twice = lines.to_vec();
        twice.push(("x-rate-limit-reset", "1759127100"));
        assert_eq!(wait(429, &headers(&twice), now), Some(Duration::from_secs(4)), "the earliest of repeated resets");
    }

    #[test]
    fn too_many_at_once_names_no_wait() {
        let lines =
            [("x-rate-limit-limit", "0"), ("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", "1759127105")];
        assert_eq!(wait(429, &headers(&lines), Timestamp::from_second(1_759_127_097).unwrap()), None);
    }
}
