//! Freshness as a user writes it.

use std::fmt;
use std::time::Duration;

use super::definition::Freshness;

/// The units of a time, the largest first, with their seconds.
const UNITS: [(&str, u64); 4] = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];

/// The clause that says so, in its normal form: `EVERY '1 hour'`.
impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Freshness::Every(every) => write!(f, "EVERY '{}'", words(*every)),
            Freshness::TargetLag(lag) => write!(f, "TARGET LAG '{}'", words(*lag)),
            Freshness::OnDemand => f.write_str("ON DEMAND"),
        }
    }
}

/// Returns a time as `1 hour 30 minutes`.
fn words(time: Duration) -> String {
    let mut rest = time.as_secs();
    let mut words = Vec::new();
    for (unit, seconds) in UNITS {
        let count = rest / seconds;
        rest %= seconds;
        match count {
            0 => {}
            1 => words.push(format!("1 {unit}")),
            _ => words.push(format!("{count} {unit}s")),
        }
    }
    if words.is_empty() { "0 seconds".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freshness_is_written_as_its_clause() {
        for (seconds, expected) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (300, "5 minutes"),
            (3_600, "1 hour"),
            (5_400, "1 hour 30 minutes"),
            (7 * 86_400, "7 days"),
            (90_061, "1 day 1 hour 1 minute 1 second"),
        ] {
            let time = Duration::from_secs(seconds);
            assert_eq!(Freshness::Every(time).to_string(), format!("EVERY '{expected}'"));
            assert_eq!(Freshness::TargetLag(time).to_string(), format!("TARGET LAG '{expected}'"));
        }
        assert_eq!(Freshness::OnDemand.to_string(), "ON DEMAND");
    }
}
