CREATE ATTRIBUTE city ON customer FROM (trim(people.city)) RESOLVE BY LATEST;
