CREATE ATTRIBUTE active ON person FROM (people.active) RESOLVE BY LATEST;
