//! A town of families, made from a seed: enough records to learn from, with truth.

use crate::identity::hash;

const GIVEN: [&str; 24] = [
    "Jan", "Anna", "Piotr", "Maria", "Jakub", "Zofia", "Tomasz", "Ewa", "Marek", "Julia", "Adam",
    "Hanna", "Robert", "Alicja", "Karol", "Monika", "Wojciech", "Dorota", "Szymon", "Barbara",
    "Kamil", "Renata", "Oskar", "Wanda",
];
/// Pet forms of the first of them.
const FORMS: [&str; 12] = [
    "Janek", "Ania", "Piotrek", "Marysia", "Kuba", "Zosia", "Tomek", "Ewka", "Mareczek", "Julka",
    "Adaś", "Hania",
];
const SYLLABLES: [&str; 16] = [
    "bar", "cho", "dob", "gra", "jas", "kos", "lip", "mal", "nor", "ost", "pie", "ran", "sta",
    "tor", "wil", "zar",
];
const ENDINGS: [&str; 6] = ["ek", "ak", "owski", "icz", "ik", "yk"];
const STREETS: [&str; 8] =
    ["Polna", "Lesna", "Lipowa", "Szkolna", "Ogrodowa", "Krotka", "Wiejska", "Zielona"];

/// Draws numbers from a seed.
pub(super) struct Draw {
    seed: u64,
    count: u64,
}

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.count += 1;
        hash::mix(hash::finish(self.seed), self.count) % bound
    }

    fn of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len() as u64) as usize]
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// Records of a town, and who each is.
pub(crate) fn town(households: u64, seed: u64) -> (Vec<(u64, [String; 10])>, Vec<u64>) {
    let mut draw = Draw::new(seed);
    let (mut rows, mut truth) = (Vec::new(), Vec::new());
    for household in 0..households {
        let surname =
            format!("{}{}{}", draw.of(&SYLLABLES), draw.of(&SYLLABLES), draw.of(&ENDINGS));
        let street = format!("{} {}", draw.of(&STREETS), 1 + draw.below(200));
        let code = format!("{:02}-{:03}", draw.below(100), draw.below(1000));
        let family_mailbox = format!("{surname}.family{household}@wp.pl");
        let landline = format!("22{:07}", draw.below(10_000_000));
        let mut names: Vec<&str> = Vec::new();
        for member in 0..1 + draw.below(3) {
            let number = draw.below(GIVEN.len() as u64) as usize;
            let given = GIVEN[number];
            if names.contains(&given) {
                continue;
            }
            names.push(given);
            let form = FORMS.get(number).copied().unwrap_or(given);
            let person = household * 10 + member;
            let (year, month, day) =
                (1940 + draw.below(65), 1 + draw.below(12), 2 + draw.below(11));
            let birth = format!("{year}-{month:02}-{day:02}");
            let swapped = format!("{year}-{day:02}-{month:02}");
            let mailbox = format!("{}{person}@gmail.com", given.to_lowercase());
            let mobile = format!("6{:08}", draw.below(100_000_000));
            for _ in 0..1 + draw.below(4) {
                let mut row: [String; 10] = Default::default();
                let mut say = |at: usize, one_in_silent: u64, text: &str, draw: &mut Draw| {
                    if !draw.one_in(one_in_silent) {
                        row[at] = text.to_owned();
                    }
                };
                let called = if draw.one_in(8) { form } else { given };
                say(0, 12, called, &mut draw);
                say(1, 12, &surname, &mut draw);
                let written = if draw.one_in(30) { &swapped } else { &birth };
                say(2, 2, written, &mut draw);
                say(3, 3, &street, &mut draw);
                say(4, 3, &code, &mut draw);
                let shared = draw.one_in(6);
                say(6, 3, if shared { &family_mailbox } else { &mailbox }, &mut draw);
                let shared = draw.one_in(6);
                say(7, 2, if shared { &landline } else { &mobile }, &mut draw);
                say(8, 3, &format!("L{:08}", person * 7 + 1_000_003), &mut draw);
                if draw.one_in(60) {
                    row.swap(0, 1);
                }
                rows.push((hash::finish(rows.len() as u64 + 1), row));
                truth.push(person);
            }
        }
    }
    (rows, truth)
}
