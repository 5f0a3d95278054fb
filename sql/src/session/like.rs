//! `LIKE` for the lists that `SHOW` answers with.

/// Returns a test for names that are like a pattern of `%` and `_`.
pub(super) fn like_pattern(pattern: &str) -> impl Fn(&str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    move |name| {
        let name: Vec<char> = name.chars().collect();
        // reach[j]: the pattern so far matches the first j characters of the name.
        let mut reach: Vec<bool> = (0..=name.len()).map(|length| length == 0).collect();
        for symbol in &pattern {
            let mut next = vec![false; name.len() + 1];
            next[0] = *symbol == '%' && reach[0];
            for length in 1..=name.len() {
                next[length] = match symbol {
                    '%' => reach[length] || next[length - 1],
                    '_' => reach[length - 1],
                    letter => reach[length - 1] && *letter == name[length - 1],
                };
            }
            reach = next;
        }
        reach[name.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_is_sql_like() {
        for (pattern, name, want) in [
            ("%", "", true),
            ("a%", "abc", true),
            ("_b%", "abc", true),
            ("a", "abc", false),
            ("%c", "abc", true),
            ("_", "", false),
        ] {
            assert_eq!(like_pattern(pattern)(name), want, "{name} LIKE {pattern}");
        }
    }
}
