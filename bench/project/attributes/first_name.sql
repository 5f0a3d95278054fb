CREATE ATTRIBUTE first_name ON customer FROM (trim(people.first_name)) RESOLVE BY LATEST;
