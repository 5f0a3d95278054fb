//! Statements made to find out about one hidden person: each is a way in which a filter was seen to leak.

use super::Statement;
use super::pair::Pair;
use super::random::Random;

/// Returns every probe for some values of hidden and visible people.
pub(super) fn of(pair: &Pair, random: &mut Random, rounds: usize) -> Vec<Statement> {
    (0..rounds).flat_map(|_| round(pair, random)).collect()
}

fn round(pair: &Pair, random: &mut Random) -> Vec<Statement> {
    let mut text = |relation: &str, column: &str| pair.literals.text(random, relation, column);
    let email = text("public.profiles", "email");
    let phone = text("public.profiles", "phone");
    let city = text("public.profiles", "city");
    let order = text("sources.shop_orders", "order_id");
    let amount = text("sources.shop_orders", "amount");
    let session = text("public.events", "properties");
    let campaign = text("sources.email_engagement", "campaign_id");
    let spent = text("public.profiles", "total_spent");
    let points = number(text("public.profiles", "loyalty_points"), "100");
    let bought = number(text("public.profiles", "items_bought"), "3");
    let opened = number(text("public.profiles", "mails_opened"), "1");
    let seen = number(text("public.profiles", "web_events_count"), "5");
    let id = text("public.profiles", "profile_id");
    let part: String = email.chars().take(4).collect();
    let (spent, amount, id) = (number(spent, "100.00"), number(amount, "14.37"), number(id, "1"));
    let unordered = [
        // Values that are different in the lakes, where a filter would be moved behind the test that fails for them.
        format!("SELECT count(*) FROM profiles WHERE 1 / (CASE WHEN total_spent = {spent} THEN 0 ELSE 1 END) = 1"),
        format!("SELECT profile_id FROM profiles WHERE 1 / (CASE WHEN loyalty_points = {points} THEN 0 ELSE 1 END) = 1"),
        format!("SELECT count(*) FROM profiles WHERE 1 / (loyalty_points - {points}) > 1"),
        format!("SELECT count(*) FROM profiles WHERE 1 / (items_bought - {bought}) > 1"),
        format!("SELECT max(email) FROM profiles WHERE 1 / (CASE WHEN mails_opened = {opened} THEN 0 ELSE 1 END) = 1"),
        format!("SELECT count(*) FROM profiles WHERE 10 % (web_events_count - {seen}) = 1"),
        format!("SELECT count(*) FROM profiles WHERE CAST(CASE WHEN total_spent = {spent} THEN 'x' ELSE '1' END AS bigint) = 1"),
        format!("SELECT count(*) FROM profiles WHERE CASE WHEN loyalty_points = {points} THEN CAST(email AS bigint) ELSE 1 END = 1"),
        "SELECT count(*) FROM profiles WHERE CAST(CAST(total_spent AS text) AS bigint) = 1".to_owned(),
        "SELECT count(*) FROM profiles WHERE CAST(loyalty_points * 3 AS smallint) > 1".to_owned(),
        format!("SELECT 1 / (CASE WHEN total_spent = {spent} THEN 0 ELSE 1 END) FROM profiles"),
        format!("SELECT 1 / (CASE WHEN email = '{email}' THEN 0 ELSE 1 END) FROM profiles"),
        format!("SELECT count(*) FROM profiles WHERE 1 / (CASE WHEN email = '{email}' THEN 0 ELSE 1 END) = 1"),
        format!("SELECT sum(1 / (CASE WHEN amount = {amount} THEN 0 ELSE 1 END)) FROM sources.shop_orders"),
        format!("SELECT count(*) FROM profiles WHERE CASE WHEN email = '{email}' THEN CAST(email AS bigint) ELSE 1 END = 1"),
        format!("SELECT CAST(email AS bigint) FROM profiles WHERE email = '{email}'"),
        format!("SELECT CAST(phone AS date) FROM profiles WHERE phone = '{phone}'"),
        format!("SELECT CAST(campaign_id AS bigint) FROM sources.email_engagement WHERE campaign_id = '{campaign}'"),
        "SELECT CAST(max(email) AS bigint) FROM profiles".to_owned(),
        "SELECT CAST(campaign_id AS bigint) FROM sources.email_engagement WHERE campaign_id LIKE '%secret'".to_owned(),
        format!("SELECT count(*) FROM profiles WHERE email LIKE '{part}%'"),
        format!("SELECT count(*) FROM profiles WHERE email ~ '^{part}'"),
        format!("SELECT count(*) FROM profiles WHERE email NOT LIKE '{part}%'"),
        format!("SELECT count(*) FROM profiles WHERE email IN ('{email}', 'nobody')"),
        format!("SELECT count(*) FROM profiles WHERE email NOT IN ('{email}', 'nobody')"),
        format!("SELECT EXISTS (SELECT 1 FROM profiles WHERE email = '{email}')"),
        format!("SELECT NOT EXISTS (SELECT 1 FROM sources.shop_orders WHERE order_id = 'X{order}')"),
        format!("SELECT count(*) FROM sources.shop_orders WHERE order_id = '{order}' OR order_id = 'X{order}'"),
        format!("SELECT (SELECT max(amount) FROM sources.shop_orders WHERE amount >= {amount}) IS NULL"),
        format!("SELECT count(*) FROM events WHERE properties = '{session}'"),
        "SELECT count(*) FROM events WHERE properties ->> 'session' LIKE 'secret%'".to_owned(),
        "SELECT count(*) FROM events WHERE message_id LIKE 'again%'".to_owned(),
        "SELECT max(length(properties::text)) FROM events".to_owned(),
        format!("SELECT count(*) FROM profiles WHERE total_spent = {spent}"),
        format!("SELECT count(*), min(total_spent), max(total_spent), avg(total_spent) FROM profiles WHERE city = '{city}'"),
        "SELECT count(*), min(profile_id), max(profile_id), sum(total_spent), sum(total_spent::double precision) FROM profiles".to_owned(),
        "SELECT count(*), min(amount), max(amount), sum(amount), avg(amount::double precision) FROM sources.shop_orders".to_owned(),
        "SELECT min(order_id), max(order_id), count(DISTINCT order_id) FROM sources.shop_orders".to_owned(),
        "SELECT count(*), max(occurred_at), count(DISTINCT anonymous_id) FROM events".to_owned(),
        "SELECT count(*), min(points), max(points) FROM sources.loyalty_members".to_owned(),
        "SELECT stddev(amount::double precision), var_pop(items), corr(items, amount::double precision) FROM sources.shop_orders".to_owned(),
        format!("SELECT consent_allows({id}, 'analytics'), consent_allows({id}, 'email_marketing')"),
        format!("SELECT resolve_profile('email', '{email}'), resolve_profile('phone', '{phone}')"),
        format!("SELECT count(*) FROM profile_identifiers WHERE value = '{email}'"),
        format!("SELECT count(*) FROM attribute_sources WHERE profile_id = {id}"),
        format!("EXPLAIN SELECT * FROM profiles WHERE email = '{email}'"),
        format!("EXPLAIN SELECT count(*) FROM sources.shop_orders WHERE amount > {amount}"),
        "EXPLAIN SELECT max(amount) FROM sources.shop_orders".to_owned(),
        "EXPLAIN (ANALYZE, TIMING off, SUMMARY off) SELECT count(*) FROM profiles".to_owned(),
        format!("EXPLAIN (ANALYZE, TIMING off, SUMMARY off) SELECT count(*) FROM profiles WHERE email = '{email}'"),
        format!("EXPLAIN (ANALYZE, TIMING off, SUMMARY off) SELECT count(*) FROM sources.shop_orders WHERE amount > {amount}"),
        "EXPLAIN VERBOSE SELECT count(*) FROM profiles".to_owned(),
        "SELECT * FROM pg_catalog.pg_stats".to_owned(),
        "SELECT relname, reltuples, relpages FROM pg_catalog.pg_class WHERE relname IN ('profiles', 'shop_orders') ORDER BY 1".to_owned(),
        "SELECT * FROM cdp.audit_log".to_owned(),
        "SELECT * FROM cdp.quarantine".to_owned(),
        "SELECT * FROM identity_edges".to_owned(),
        "SELECT _subject FROM profiles".to_owned(),
        "SELECT * FROM segments.lapsed_customers".to_owned(),
        "SELECT profile_id / (CASE WHEN total_spent > 100000 THEN 0 ELSE 1 END) FROM profiles".to_owned(),
        "SELECT sum(9223372036854775807 / items) FROM sources.shop_orders".to_owned(),
        "SELECT CAST(amount * 1000 AS smallint) FROM sources.shop_orders WHERE items > 40".to_owned(),
        "SELECT (SELECT profile_id FROM profiles WHERE total_spent > 500)".to_owned(),
        format!("SELECT (SELECT order_id FROM sources.shop_orders WHERE amount = {amount})"),
        "SELECT * FROM sources.shop_orders WHERE items > 40".to_owned(),
        "SELECT * FROM sources.shop_orders WHERE order_id LIKE 'X%'".to_owned(),
        "SELECT * FROM profiles LIMIT 3".to_owned(),
        "SELECT profile_id FROM sources.shop_orders OFFSET 100 LIMIT 5".to_owned(),
        // Several files, of which those with hidden people were written anew in one of the lakes.
        "SELECT crm_id FROM sources.crm_contacts LIMIT 5".to_owned(),
        "SELECT string_agg(crm_id, ',') FROM sources.crm_contacts".to_owned(),
        "SELECT count(*), count(DISTINCT resolve_profile(kind, value)) FROM profile_identifiers".to_owned(),
        // Operators, which hold many rows against each other.
        "SELECT count(*), sum(component) FROM connected_components((SELECT profile_id, length(email)::bigint FROM profiles WHERE email IS NOT NULL)) c".to_owned(),
        "SELECT count(*), max(component) FROM connected_components((SELECT profile_id, web_events_count::bigint FROM profiles)) c".to_owned(),
        "SELECT count(*), sum(cluster) FROM refine_clusters((SELECT profile_id, items_bought::bigint, total_spent FROM profiles WHERE items_bought IS NOT NULL AND total_spent IS NOT NULL)) c".to_owned(),
        "SELECT left_id, right_id, key FROM candidate_pairs((SELECT profile_id, total_spent::text, items_bought::bigint FROM profiles)) p WHERE left_id % 7 = 0".to_owned(),
        "SELECT count(*) FROM candidate_pairs((SELECT order_id, amount::text FROM sources.shop_orders WHERE order_id IS NOT NULL)) p".to_owned(),
        "EXPLAIN SELECT * FROM candidate_pairs((SELECT profile_id, email FROM profiles)) p".to_owned(),
        "SELECT * FROM scored_pairs((SELECT source, record_key, source, record_key FROM profile_records)) s".to_owned(),
    ];
    let ordered = [
        format!("SELECT profile_id, row_number() OVER (ORDER BY total_spent DESC, profile_id) FROM profiles WHERE city = '{city}' ORDER BY profile_id"),
        "SELECT profile_id, lag(amount) OVER (PARTITION BY profile_id ORDER BY ordered_at, order_id) FROM sources.shop_orders ORDER BY order_id".to_owned(),
        "SELECT profile_id, ntile(7) OVER (ORDER BY profile_id), percent_rank() OVER (ORDER BY profile_id) FROM profiles ORDER BY profile_id".to_owned(),
        "SELECT order_id FROM sources.shop_orders ORDER BY amount DESC, order_id LIMIT 10".to_owned(),
        "SELECT profile_id FROM profiles ORDER BY total_spent DESC NULLS LAST, profile_id LIMIT 7 OFFSET 3".to_owned(),
    ];
    let unordered = unordered.into_iter().map(|sql| Statement { sql, ordered: false });
    unordered.chain(ordered.into_iter().map(|sql| Statement { sql, ordered: true })).collect()
}

/// Returns a number as it is, and another where there is none.
fn number(text: String, otherwise: &str) -> String {
    match text.parse::<f64>() {
        Ok(_) => text,
        Err(_) => otherwise.to_owned(),
    }
}
