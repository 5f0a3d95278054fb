//! Dates, times and timestamps of every unit: ISO text with trimmed fractions, or microseconds and days since 2000.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Int64Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use bytes::BufMut;

use super::whole::fixed;
use super::{Column, Format, Zone, cell};

/// Days from 1970-01-01 to 2000-01-01, where Postgres begins to count.
pub(crate) const EPOCH_SHIFT_DAYS: i32 = 10_957;
/// The same in microseconds.
pub(crate) const EPOCH_SHIFT_US: i64 = 946_684_800_000_000;
const SECOND_US: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;
const DAY_MS: i64 = DAY_SECONDS * 1000;

/// Writes dates.
pub(super) fn date(array: &dyn Array, format: Format) -> Box<dyn Column + '_> {
    match array.data_type() {
        DataType::Date64 => {
            let values = array.as_primitive::<Date64Type>();
            of_days(array, format, move |row| {
                i32::try_from(values.value(row).div_euclid(DAY_MS)).unwrap_or(i32::MAX)
            })
        }
        _ => {
            let values = array.as_primitive::<Date32Type>();
            of_days(array, format, move |row| values.value(row))
        }
    }
}

fn of_days<'a>(
    array: &'a dyn Array,
    format: Format,
    days: impl Fn(usize) -> i32 + Send + 'a,
) -> Box<dyn Column + 'a> {
    match format {
        Format::Text => cell(array, move |row, out| put_date(days(row), out)),
        Format::Binary => fixed(array, move |row| {
            let shifted = match days(row) {
                infinite @ (i32::MAX | i32::MIN) => infinite,
                finite => finite.saturating_sub(EPOCH_SHIFT_DAYS),
            };
            shifted.to_be_bytes()
        }),
    }
}

/// Writes times of day.
pub(super) fn time(array: &dyn Array, format: Format) -> Box<dyn Column + '_> {
    macro_rules! micros {
        ($arrow:ty, $convert:expr) => {{
            let values = array.as_primitive::<$arrow>();
            of_time(array, format, move |row| $convert(i64::from(values.value(row))))
        }};
    }
    match array.data_type() {
        DataType::Time32(TimeUnit::Second) => {
            micros!(Time32SecondType, |value: i64| value * SECOND_US)
        }
        DataType::Time32(_) => micros!(Time32MillisecondType, |value: i64| value * 1000),
        DataType::Time64(TimeUnit::Nanosecond) => {
            micros!(Time64NanosecondType, |value: i64| value / 1000)
        }
        _ => micros!(Time64MicrosecondType, |value: i64| value),
    }
}

/// Writes microseconds since midnight that are kept as a bigint.
pub(super) fn time_us(array: &dyn Array, format: Format) -> Box<dyn Column + '_> {
    let values = array.as_primitive::<Int64Type>();
    of_time(array, format, move |row| values.value(row))
}

fn of_time<'a>(
    array: &'a dyn Array,
    format: Format,
    micros: impl Fn(usize) -> i64 + Send + 'a,
) -> Box<dyn Column + 'a> {
    match format {
        Format::Text => cell(array, move |row, out| put_time(micros(row), out)),
        Format::Binary => fixed(array, move |row| micros(row).to_be_bytes()),
    }
}

/// Writes timestamps; those with a zone in the zone of the session.
pub(super) fn timestamp<'a>(
    array: &'a dyn Array,
    format: Format,
    zone: &Zone,
) -> Box<dyn Column + 'a> {
    let zone = matches!(array.data_type(), DataType::Timestamp(_, Some(_))).then(|| zone.clone());
    macro_rules! micros {
        ($arrow:ty, $convert:expr) => {{
            let values = array.as_primitive::<$arrow>();
            of_timestamp(array, format, move |row| $convert(values.value(row)), zone)
        }};
    }
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            micros!(TimestampSecondType, |value: i64| value.saturating_mul(SECOND_US))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            micros!(TimestampMillisecondType, |value: i64| value.saturating_mul(1000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            micros!(TimestampNanosecondType, |value: i64| value.div_euclid(1000))
        }
        _ => micros!(TimestampMicrosecondType, |value: i64| value),
    }
}

/// Writes a timestamp without a zone that is kept as a bigint.
pub(super) fn timestamp_us(array: &dyn Array, format: Format) -> Box<dyn Column + '_> {
    let values = array.as_primitive::<Int64Type>();
    of_timestamp(array, format, move |row| values.value(row), None)
}

fn of_timestamp<'a>(
    array: &'a dyn Array,
    format: Format,
    micros: impl Fn(usize) -> i64 + Send + 'a,
    zone: Option<Zone>,
) -> Box<dyn Column + 'a> {
    match (format, zone) {
        (Format::Binary, _) => fixed(array, move |row| {
            let shifted = match micros(row) {
                infinite @ (i64::MAX | i64::MIN) => infinite,
                finite => finite.saturating_sub(EPOCH_SHIFT_US),
            };
            shifted.to_be_bytes()
        }),
        (Format::Text, None) => cell(array, move |row, out| put_timestamp(micros(row), None, out)),
        (Format::Text, Some(zone)) => cell(array, move |row, out| {
            let value = micros(row);
            put_timestamp(value, Some(zone.offset_at(value.div_euclid(SECOND_US))), out);
        }),
    }
}

/// Splits days since 1970 into year, month and day of the proleptic Gregorian calendar; year 0 is 1 BC.
fn civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, u32::try_from(month).unwrap_or(1), u32::try_from(day).unwrap_or(1))
}

/// The numbers below a hundred, in two digits.
const TWO_DIGITS: [[u8; 2]; 100] = {
    let mut digits = [[b'0'; 2]; 100];
    let mut value = 0;
    while value < 100 {
        digits[value][0] += (value / 10) as u8;
        digits[value][1] += (value % 10) as u8;
        value += 1;
    }
    digits
};

/// More bytes than the longest timestamp has: a sign, 19 digits of a year, and 39 behind them.
const STAMP_BYTES: usize = 64;

/// A date or a time that is being written: its parts are many and short, so they are put together before they are appended.
struct Stamp {
    bytes: [u8; STAMP_BYTES],
    len: usize,
}

impl Stamp {
    fn new() -> Self {
        Self { bytes: [0; STAMP_BYTES], len: 0 }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Puts a number with two digits at least.
    fn two(&mut self, value: u32) {
        match TWO_DIGITS.get(value as usize) {
            Some(digits) => self.put(digits),
            None => self.number(i64::from(value)),
        }
    }

    fn number(&mut self, value: i64) {
        self.put(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Puts year, month and day, and returns whether they are before Christ.
    fn civil(&mut self, days: i64) -> bool {
        let (year, month, day) = civil(days);
        let before_christ = year <= 0;
        let year = if before_christ { 1 - year } else { year };
        match u32::try_from(year) {
            Ok(year) if year < 10_000 => {
                self.two(year / 100);
                self.two(year % 100);
            }
            _ => self.number(year),
        }
        self.put(b"-");
        self.two(month);
        self.put(b"-");
        self.two(day);
        before_christ
    }

    /// Puts a time of day, with the fraction of its second as far as it is not zero.
    fn time(&mut self, micros: i64) {
        let seconds = micros.div_euclid(SECOND_US);
        self.two(u32::try_from(seconds / 3600).unwrap_or(0));
        self.put(b":");
        self.two(u32::try_from(seconds / 60 % 60).unwrap_or(0));
        self.put(b":");
        self.two(u32::try_from(seconds % 60).unwrap_or(0));
        let micros = u32::try_from(micros.rem_euclid(SECOND_US)).unwrap_or(0);
        if micros == 0 {
            return;
        }
        self.put(b".");
        self.two(micros / 10_000);
        self.two(micros / 100 % 100);
        self.two(micros % 100);
        while self.bytes[self.len - 1] == b'0' {
            self.len -= 1;
        }
    }

    fn offset(&mut self, offset: i32) {
        self.put(if offset < 0 { b"-" } else { b"+" });
        let seconds = offset.unsigned_abs();
        self.two(seconds / 3600);
        if !seconds.is_multiple_of(3600) {
            self.put(b":");
            self.two(seconds / 60 % 60);
        }
        if !seconds.is_multiple_of(60) {
            self.put(b":");
            self.two(seconds % 60);
        }
    }

    fn append_to(&self, out: &mut Vec<u8>) {
        out.put_slice(&self.bytes[..self.len]);
    }
}

fn put_date(days: i32, out: &mut Vec<u8>) {
    match days {
        i32::MAX => return out.put_slice(b"infinity"),
        i32::MIN => return out.put_slice(b"-infinity"),
        _ => {}
    }
    let mut stamp = Stamp::new();
    if stamp.civil(i64::from(days)) {
        stamp.put(b" BC");
    }
    stamp.append_to(out);
}

/// Appends a time of day, with the fraction of its second as far as it is not zero.
pub(super) fn put_time(micros: i64, out: &mut Vec<u8>) {
    let mut stamp = Stamp::new();
    stamp.time(micros);
    stamp.append_to(out);
}

/// Appends a timestamp, shifted by and followed by `offset` if there is one.
pub(super) fn put_timestamp(micros: i64, offset: Option<i32>, out: &mut Vec<u8>) {
    match micros {
        i64::MAX => return out.put_slice(b"infinity"),
        i64::MIN => return out.put_slice(b"-infinity"),
        _ => {}
    }
    let seconds = micros.div_euclid(SECOND_US) + i64::from(offset.unwrap_or(0));
    let mut stamp = Stamp::new();
    let before_christ = stamp.civil(seconds.div_euclid(DAY_SECONDS));
    stamp.put(b" ");
    stamp.time(seconds.rem_euclid(DAY_SECONDS) * SECOND_US + micros.rem_euclid(SECOND_US));
    if let Some(offset) = offset {
        stamp.offset(offset);
    }
    if before_christ {
        stamp.put(b" BC");
    }
    stamp.append_to(out);
}
