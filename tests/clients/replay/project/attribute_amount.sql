CREATE ATTRIBUTE amount ON person FROM (people.amount) RESOLVE BY LATEST;
