CREATE ATTRIBUTE loyalty_id ON customer FROM (people.loyalty_id) RESOLVE BY LATEST;
