//! What changed between two texts, line by line, as `diff -u` prints it.

use std::fmt::Write;

/// Unchanged lines shown around a change.
const CONTEXT_LINES: usize = 2;
/// Pairs of lines that are compared at most; beyond, everything counts as changed.
const PAIRS_MAX: usize = 4_000_000;

/// One line of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    Kept(&'a str),
    Removed(&'a str),
    Added(&'a str),
}

/// Returns the unified difference of two texts; empty if they are the same.
pub(crate) fn unified(before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let lines = compare(&old, &new);
    let mut shown = vec![false; lines.len()];
    for (index, line) in lines.iter().enumerate() {
        if !matches!(line, Line::Kept(_)) {
            let last = (index + CONTEXT_LINES).min(lines.len() - 1);
            shown[index.saturating_sub(CONTEXT_LINES)..=last].fill(true);
        }
    }
    let mut text = String::new();
    let (mut old_line, mut new_line) = (1, 1);
    for (index, line) in lines.iter().enumerate() {
        if shown[index] && (index == 0 || !shown[index - 1]) {
            let hunk = &lines[index..];
            let length = shown[index..].iter().take_while(|shown| **shown).count();
            let count = |without: fn(&Line<'_>) -> bool| {
                hunk[..length].iter().filter(|line| !without(line)).count()
            };
            let old_count = count(|line| matches!(line, Line::Added(_)));
            let new_count = count(|line| matches!(line, Line::Removed(_)));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "@@ -{old_line},{old_count} +{new_line},{new_count} @@");
        }
        let (sign, content) = match line {
            Line::Kept(content) => (' ', content),
            Line::Removed(content) => ('-', content),
            Line::Added(content) => ('+', content),
        };
        old_line += usize::from(sign != '+');
        new_line += usize::from(sign != '-');
        if shown[index] {
            let _ = writeln!(text, "{sign}{content}");
        }
    }
    text
}

/// Returns the lines of both texts with a longest common subsequence kept.
fn compare<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let head = old.iter().zip(new).take_while(|(left, right)| left == right).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = old_rest
        .iter()
        .rev()
        .zip(new_rest.iter().rev())
        .take_while(|(left, right)| left == right)
        .count();
    let (left, right) = (&old_rest[..old_rest.len() - tail], &new_rest[..new_rest.len() - tail]);
    let mut lines: Vec<Line<'a>> = old[..head].iter().map(|line| Line::Kept(line)).collect();
    if left.len().saturating_mul(right.len()) > PAIRS_MAX {
        lines.extend(left.iter().map(|line| Line::Removed(line)));
        lines.extend(right.iter().map(|line| Line::Added(line)));
    } else {
        middle(left, right, &mut lines);
    }
    lines.extend(old_rest[old_rest.len() - tail..].iter().map(|line| Line::Kept(line)));
    lines
}

/// Adds the lines of two texts that begin and end differently.
fn middle<'a>(left: &[&'a str], right: &[&'a str], lines: &mut Vec<Line<'a>>) {
    let width = right.len() + 1;
    let mut common = vec![0u32; (left.len() + 1) * width];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            common[i * width + j] = match left[i] == right[j] {
                true => common[(i + 1) * width + j + 1] + 1,
                false => common[(i + 1) * width + j].max(common[i * width + j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < left.len() || j < right.len() {
        if i < left.len() && j < right.len() && left[i] == right[j] {
            lines.push(Line::Kept(left[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < left.len()
            && (j == right.len() || common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            lines.push(Line::Removed(left[i]));
            i += 1;
        } else {
            lines.push(Line::Added(right[j]));
            j += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_what_diff_prints() {
        for (before, after, expected) in [
            ("a\nb\nc", "a\nb\nc", ""),
            ("a", "b", "@@ -1,1 +1,1 @@\n-a\n+b\n"),
            ("a\nb\nc\nd\ne\nf", "a\nb\nc\nD\ne\nf", "@@ -2,5 +2,5 @@\n b\n c\n-d\n+D\n e\n f\n"),
            ("a\nb", "a\nx\nb", "@@ -1,2 +1,3 @@\n a\n+x\n b\n"),
            (
                "1\n2\n3\n4\n5\n6\n7\n8\n9",
                "2\n3\n4\n5\n6\n7\n8\n9\n10",
                "@@ -1,3 +1,2 @@\n-1\n 2\n 3\n@@ -8,2 +7,3 @@\n 8\n 9\n+10\n",
            ),
        ] {
            assert_eq!(unified(before, after), expected, "{before:?} -> {after:?}");
        }
    }
}
