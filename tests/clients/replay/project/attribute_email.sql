CREATE ATTRIBUTE email ON person FROM (people.email) RESOLVE BY LATEST;
