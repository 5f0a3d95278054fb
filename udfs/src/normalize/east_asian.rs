//! Names in Chinese, Japanese and Korean letters: the family's name comes first, mostly without a space behind it.
//!
//! Whole names are brought into the order of others, given name first: 王小明 to 小明 王, which is then folded to `xiaoming wang`.
//! How long the family's name is, the length of the whole tells: Chinese and Korean families have one syllable and Japanese ones
//! mostly two, Chinese and Korean people are called by one or two and Japanese ones mostly by two. Of three a list decides: it has
//! the usual families of two syllables in China and Korea, and the most frequent ones of Japan. A rarer Japanese family is cut
//! behind its first letter, alike in every record that leaves out the space.
//!
//! Chinese letters are then folded one by one, in Japanese names, too, as they are read in Mandarin. So 伟 and 薇 are both `wei`, as
//! they are where somebody writes the name in Latin letters, and 山田 is not compared with Yamada; ヤマダ is.
//! What is written with a dot in between (`ジョン・スミス`) is a name from elsewhere in its own order.

use std::borrow::Cow;

/// Families of two syllables in China, in either of its scripts, and of Japan.
const TWO_HAN: &str = "\
    欧阳 歐陽 司马 司馬 上官 诸葛 諸葛 皇甫 尉迟 尉遲 公孙 公孫 慕容 长孙 長孫 宇文 司徒 夏侯 令狐 端木 独孤 獨孤 南宫 南宮 \
    轩辕 軒轅 东方 東方 西门 西門 钟离 鍾離 呼延 司空 澹台 申屠 闻人 聞人 赫连 赫連 拓跋 濮阳 濮陽 淳于 单于 单於 \
    佐藤 鈴木 高橋 田中 伊藤 渡辺 渡邊 渡邉 山本 中村 小林 加藤 吉田 山田 山口 松本 井上 木村 斎藤 斉藤 齋藤 清水 山崎 阿部 池田 \
    橋本 山下 石川 中島 前田 藤田 後藤 小川 岡田 村上 近藤 石井 坂本 遠藤 藤井 青木 福田 三浦 西村 藤原 太田 松田 原田 岡本 中野 \
    中川 小野 田村 竹内 金子 中山 和田 石田 上田 森田 柴田 酒井 工藤 横山 宮崎 宮本 内田 高木 安藤 谷口 大野 丸山 今井 河野 \
    藤本 村田 武田 上野 杉山 増田 平野 大塚 千葉 久保 松井 小島 岩崎 桜井 野口 松尾 菊地 菊池 野村 新井 渡部 佐野";

/// Families of three in Japan.
const THREE_HAN: &str =
    "佐々木 長谷川 五十嵐 小笠原 佐久間 久保田 大久保 宇都宮 長谷部 日比野 小野寺 伊集院";

/// Families of two syllables in Korea.
const TWO_HANGUL: &str = "남궁 황보 제갈 사공 선우 서문 독고 동방";

/// The most frequent families of Korea, and how most of them spell their name in Latin letters, which is not how its letters are
/// spelled otherwise: 이 would be `i`.
const KOREAN: [(&str, &str); 20] = [
    ("김", "Kim"),
    ("이", "Lee"),
    ("박", "Park"),
    ("최", "Choi"),
    ("정", "Jung"),
    ("강", "Kang"),
    ("조", "Cho"),
    ("윤", "Yoon"),
    ("장", "Jang"),
    ("임", "Lim"),
    ("한", "Han"),
    ("오", "Oh"),
    ("서", "Seo"),
    ("신", "Shin"),
    ("권", "Kwon"),
    ("황", "Hwang"),
    ("안", "Ahn"),
    ("송", "Song"),
    ("유", "Yoo"),
    ("홍", "Hong"),
];

/// The longest name of a family. There is none of four.
const FAMILY_MAX: usize = 3;

/// The longest name without a space: a family's of three and a given name of two. What is longer is a firm or a sentence.
const LETTERS_MAX: usize = FAMILY_MAX + 2;

/// What a letter is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Han,
    Kana,
    Hangul,
}

impl Script {
    fn of(c: char) -> Option<Self> {
        Some(match c {
            '々' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' => Self::Han,
            '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}' => Self::Han,
            '\u{3041}'..='\u{30fa}' | 'ー' | '\u{ff66}'..='\u{ff9f}' => Self::Kana,
            '\u{ac00}'..='\u{d7a3}' => Self::Hangul,
            _ => return None,
        })
    }
}

/// Returns a whole name with the given name first and a space behind it, if it is written in such letters and tells where the
/// family's ends.
pub(super) fn family_last(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| Script::of(c).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut words = text.split_whitespace();
    let (Some(first), second, None) = (words.next(), words.next(), words.next()) else {
        return Cow::Borrowed(text);
    };
    let is_written_so = |word: &str| word.chars().all(|c| Script::of(c).is_some());
    let parts = match second {
        Some(family) if is_korean_family(family) && !is_korean_family(first) => {
            Some((family, first))
        }
        Some(given) => Some((first, given)),
        None => split(first),
    };
    match parts {
        Some((family, given)) if is_written_so(family) && is_written_so(given) => {
            Cow::Owned(format!("{given} {}", spelled_family(family)))
        }
        _ => Cow::Borrowed(text),
    }
}

/// Splits a name without a space behind the family's.
fn split(name: &str) -> Option<(&str, &str)> {
    let scripts: Vec<Option<Script>> = name.chars().take(LETTERS_MAX + 1).map(Script::of).collect();
    let count = scripts.len();
    let first = scripts.first().copied().flatten()?;
    // A given name may be in other letters than the family's: 山田さくら.
    let alike = scripts.iter().take_while(|script| **script == Some(first)).count();
    let begins = |with: &str| with.split_whitespace().any(|family| name.starts_with(family));
    let family = match first {
        Script::Han if alike < count => Some(alike).filter(|alike| *alike <= FAMILY_MAX)?,
        Script::Han if count > LETTERS_MAX => return None,
        Script::Han if count > FAMILY_MAX && begins(THREE_HAN) => FAMILY_MAX,
        Script::Han if count > FAMILY_MAX || count == FAMILY_MAX && begins(TWO_HAN) => 2,
        Script::Hangul if alike < count || count >= LETTERS_MAX => return None,
        Script::Hangul if count > 2 && begins(TWO_HANGUL) => 2,
        Script::Han | Script::Hangul => 1,
        Script::Kana => return None,
    };
    let (at, _) = name.char_indices().nth(family)?;
    Some(name.split_at(at))
}

/// Tells whether a word is the name of a frequent family of Korea, so that one beside it is not: 민수 김.
fn is_korean_family(word: &str) -> bool {
    KOREAN.iter().any(|(letters, _)| *letters == word)
        || TWO_HANGUL.split_whitespace().any(|family| family == word)
}

/// Returns a family's name as it is spelled in Latin letters, if that is not how its letters are folded: 이 is `Lee`.
pub fn spelled_family(family: &str) -> &str {
    let known = KOREAN.iter().find(|(letters, _)| *letters == family);
    known.map_or(family, |(_, spelling)| spelling)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_family_comes_last() {
        for (given, expected) in [
            ("王伟", "伟 王"),
            ("王小明", "小明 王"),
            ("王 小明", "小明 王"),
            ("欧阳娜娜", "娜娜 欧阳"),
            ("諸葛亮", "亮 諸葛"),
            ("山田太郎", "太郎 山田"),
            ("田中実", "実 田中"),
            ("山田\u{3000}太郎", "太郎 山田"),
            ("佐々木希", "希 佐々木"),
            ("長谷川太郎", "太郎 長谷川"),
            ("山田さくら", "さくら 山田"),
            ("やまだ たろう", "たろう やまだ"),
            ("김민수", "민수 Kim"),
            ("김 민수", "민수 Kim"),
            ("민수 김", "민수 Kim"),
            ("남궁 민", "민 남궁"),
            ("남궁민", "민 남궁"),
            ("이산", "산 Lee"),
            // One word that tells nothing, a name from elsewhere, and what is no name.
            ("王", "王"),
            ("さくら", "さくら"),
            ("ジョン・スミス", "ジョン・スミス"),
            ("株式会社山田", "株式会社山田"),
            ("株式会社ヤマダ", "株式会社ヤマダ"),
            ("長谷川さくら", "さくら 長谷川"),
            ("삼성전자주식회사", "삼성전자주식회사"),
            ("王小明 Wang", "王小明 Wang"),
            ("王 小 明", "王 小 明"),
            ("小明, 王", "小明, 王"),
            ("王小明(先生)", "王小明(先生)"),
            ("Anna Nowak", "Anna Nowak"),
            ("", ""),
        ] {
            assert_eq!(family_last(given), expected, "{given}");
        }
    }

    proptest! {
        #[test]
        fn no_letter_is_lost(given in "[王欧阳佐々木山田さくらー김민남궁ㄱᄀa ・\u{3000}\u{200d}\u{301}𠮷]{0,8}|.*") {
            let sorted = |text: &str| {
                let mut letters: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
                letters.sort_unstable();
                letters
            };
            let turned = family_last(&given);
            let is_spelled = KOREAN.iter().any(|(_, spelling)| turned.ends_with(spelling));
            prop_assert!(is_spelled || sorted(&turned) == sorted(&given));
        }
    }
}
