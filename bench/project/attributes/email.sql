CREATE ATTRIBUTE email ON customer FROM (normalize_email(people.email)) RESOLVE BY LATEST;
