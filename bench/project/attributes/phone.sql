CREATE ATTRIBUTE phone ON customer FROM (normalize_phone(people.phone, people.country)) RESOLVE BY LATEST;
