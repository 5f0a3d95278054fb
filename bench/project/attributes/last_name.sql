CREATE ATTRIBUTE last_name ON customer FROM (trim(people.last_name)) RESOLVE BY LATEST;
