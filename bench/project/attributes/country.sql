CREATE ATTRIBUTE country ON customer FROM (people.country) RESOLVE BY MOST FREQUENT;
