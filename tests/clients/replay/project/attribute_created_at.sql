CREATE ATTRIBUTE created_at ON person FROM (people.created_at) RESOLVE BY LATEST;
