//! What names say and do not say: families whose name comes first, names that are alike, titles, senior and junior.

use super::*;

#[test]
fn whoever_is_called_senior_has_a_namesake_whom_nobody_may_know() {
    let lars = |key: &str, name: &str| Row::record(key, name).lives("5 Elm St", "92660");
    let born = |row: Row| row.born("1950-03-04");
    let (senior, silent) = (lars("a", "David Lars Sr"), lars("b", "David Lars"));
    check(&[senior.clone(), silent.clone()], &[&[0], &[1]]);
    check(&[born(senior.clone()), silent.clone()], &[&[0], &[1]]);
    check(&[senior.clone(), born(silent.clone())], &[&[0], &[1]]);
    check(&[born(senior.clone()), born(silent.clone())], &[&[0, 1]]);
    check(&[senior.clone(), lars("b", "Dave Lars, Sr.")], &[&[0, 1]]);
    // A mailbox tells more than a name and an address.
    let mailed = |row: Row| row.with(EMAIL, "david@x.example");
    check(&[mailed(senior), mailed(silent)], &[&[0, 1]]);
}

#[test]
fn who_is_kept_from_a_namesake_has_a_row_that_says_so() {
    let lars = |key: &str, name: &str| Row::record(key, name).lives("5 Elm St", "92660");
    let (junior, silent) = (lars("a", "David Lars Jr"), lars("b", "David Lars"));
    let told = |rows: &[Row]| -> Vec<(u32, &'static str)> {
        let resolver = resolve(rows);
        resolver.violations().map(|refused| (refused.against, refused.reason.word())).collect()
    };
    assert_eq!(told(&[junior.clone(), silent.clone()]), [(0, "namesake")]);
    assert_eq!(told(&[silent.clone(), junior.clone()]), [(1, "namesake")]);
    // What tells more than a name and an address leaves nothing to tell.
    let mailed = |row: &Row| row.clone().with(EMAIL, "david@x.example");
    assert!(told(&[mailed(&junior), mailed(&silent)]).is_empty());
    // Of a thousand who may be the father or the son, as many rows are kept as of any value, and one says how many more.
    let mut rows: Vec<Row> = (0..1_000).map(|at| lars(&at.to_string(), "David Lars")).collect();
    rows.push(lars("father", "David Lars").born("1950-03-04"));
    rows.push(lars("son", "David Lars").born("1985-11-12"));
    let resolver = resolve(&rows);
    assert_eq!((profiles(&resolver).len(), resolver.violations().count()), (1_002, 65));
}

#[test]
fn a_family_whose_name_comes_first_is_no_one_person() {
    for (first, second) in [
        ("Nguyễn Văn Minh", "Nguyễn Thị Lan"),
        ("Thi Mai Nguyen", "Thi Lan Nguyen"),
        ("Nowak Anna", "Nowak Piotr"),
        ("Nowak Marta", "Nowak Maria"),
        ("Yılmaz Ayşe", "Yılmaz Mehmet"),
        ("Wang Wei", "Wang Fang"),
        ("Nowak Anna Maria", "Nowak Piotr Adam"),
        ("Шевченко Тарас Петрович", "Шевченко Оксана Петрівна"),
        ("Сидоров Иван Петрович", "Сидоров Сергей Петрович"),
        ("王伟", "王芳"),
        ("山田太郎", "山田花子"),
        ("김민수", "김영희"),
    ] {
        let home = |key: &str, name: &str| {
            Row::record(key, name).with(PHONE, "601123456").lives("Polna 1", "00-001")
        };
        let resolver = check(&[home("a", first), home("b", second)], &[&[0], &[1]]);
        assert_eq!(resolver.value_class(PHONE, "+48601123456"), Some(ValueClass::Shared));
    }
    let rows = [
        Row::record("a", "Nguyễn Văn Minh").with(PHONE, "601123456"),
        Row::record("b", "Minh Nguyen").with(PHONE, "601123456"),
        Row::record("c", "Nowak Anna").with(EMAIL, "anna@x.example"),
        Row::record("d", "Ania Nowak").with(EMAIL, "anna@x.example"),
    ];
    check(&rows, &[&[0, 1], &[2, 3]]);
}

#[test]
fn a_name_in_other_letters_is_that_of_the_passport() {
    for (one, other) in [
        ("王小明", "Xiaoming Wang"),
        ("王小明", "Wang Xiaoming"),
        ("김민수", "Min-su Kim"),
        ("ﾔﾏﾀﾞ ｼﾝｼﾞ", "Shinji Yamada"),
        ("Χρήστος Παπαδόπουλος", "Christos Papadopoulos"),
        ("Сергій Грищенко", "Serhii Hryshchenko"),
        ("مُحَمَّد حُسَيْن", "محمد حسين"),
    ] {
        let mail = |key: &str, name: &str| Row::record(key, name).with(EMAIL, "a@x.example");
        check(&[mail("a", one), mail("b", other), mail("c", "Ewa Lis")], &[&[0, 1], &[2]]);
    }
}

#[test]
fn sisters_and_brothers_whose_names_are_alike_stay_apart() {
    for (first, second) in [
        ("Anna", "Hanna"),
        ("Maja", "Kaja"),
        ("Katja", "Nina"),
        ("Jan", "Jens"),
        ("Laura", "Lara"),
        ("Hakan", "Hasan"),
        ("Seda", "Sema"),
        ("Samir", "Amir"),
        ("Jean-Luc", "Jean-Pierre"),
        ("Abdul Rahman", "Abdul Aziz"),
        ("Mohammed Ali", "Muhammad Usman"),
    ] {
        let home = |key: &str, name: &str| {
            Row::record(key, &format!("{name} Kot")).with(PHONE, "601123456").born("1996-01-04")
        };
        check(&[home("a", first), home("b", second)], &[&[0], &[1]]);
    }
}

#[test]
fn a_given_name_alone_is_not_another_one() {
    let mail = |key: &str, name: &str| Row::record(key, name).with(EMAIL, "family@x.example");
    for other in ["Piotr", "Piotr Nowak", "Nowak Piotr"] {
        let rows = [mail("a", "Anna"), mail("b", other), mail("c", "Ania Nowak")];
        let resolver = check(&rows, &[&[0, 2], &[1]]);
        assert_eq!(resolver.value_class(EMAIL, "family@x.example"), Some(ValueClass::Shared));
        // Nor does a record without a name lead from one to the other.
        let nameless = mail("d", "");
        check(&[mail("a", "Anna"), mail("b", other), nameless], &[&[0], &[1], &[2]]);
    }
    // It may be a surname, too.
    check(&[mail("a", "Adam"), mail("b", "Ewa Adam")], &[&[0, 1]]);
    check(&[mail("a", "Nowak"), mail("b", "Anna Nowak")], &[&[0, 1]]);
}

#[test]
fn titles_are_no_names() {
    let titled = |key: &str, first: &str, last: &str| {
        let text = |text: &str| Some(text.to_owned());
        let (first_name, last_name) = (text(first), text(last));
        let person = Some(PersonFields { first_name, last_name, ..PersonFields::default() });
        Row { person, ..Row::record(key, "") }.with(PHONE, "601123456")
    };
    let rows = [
        titled("a", "Sir Thomas", "Chichester"),
        titled("b", "Thomas", "Chichester, 2nd Baronet"),
        titled("c", "Lord Thomas", "Chichester"),
        titled("d", "Thomas, 2nd Baronet", "Chichester"),
        Row::record("e", "Chichester, Sir Thomas, Bt").with(PHONE, "601123456"),
    ];
    check(&rows, &[&[0, 1, 2, 3, 4]]);
}
